r"""Numbers as people and LLMs write them: ``$1,234.50``, ``1e3``, ``3/4``, ``\frac{3}{4}``, ``-5%``, ``six``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_WIDE_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_LATEX: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\\[dtc]?frac\s*\{\s*(-?[\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}"), r" \1/\2 "),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), r" \1/\2 "),
    (re.compile(r"\{,\}|\\,|\\!"), ","),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\(?:times|cdot)"), "\u00d7"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\\[()\[\]]|\\(?:left|right|approx)"), " "),
    (re.compile(r"[*_`]{2,}|`"), ""),
]
_NUMBER = re.compile(
    r"""
    (?<![\w.^])                                    # not within a word, a number or an exponent
    (?P<sign>(?<![\w)\]}][ ])(?<![)\]}])[-+][ ]?)?
    (?:[$€£¥][ ]?)?
    (?P<late>-)?
    (?P<value>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)
    (?:
        [eE](?P<exponent>[-+]?\d+)(?![\w.]*\w)
      | [ ]?[\u00d7x*][ ]?10(?:\^\{?|\*\*)[ ]?(?P<power>[-+]?\d+)\}?
      | [ ]+(?P<top>\d+)[ ]?/[ ]?(?P<bottom>\d+)   # 2 1/2
      | [ ]?/[ ]?(?P<denominator>\d+(?:\.\d+)?)
      | (?:\^\{?|\*\*)(?P<to>-?\d+)\}?
    )?
    (?P<percent>[ ]?%|[ ]percent\b)?
    (?:[ ](?P<scale>thousand|million|billion|trillion)\b)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LARGEST_EXPONENT = 400
_MOST_CHARACTERS = 1000
_ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: i for i, word in enumerate(_ONES)} | {word: 10 * i for i, word in enumerate(_TENS, 2)}
_WORDS = re.compile(
    rf"\b(?:minus |negative )?(?:{'|'.join([*_SMALL, 'hundred', *_SCALES])})\b(?:[ -]|and )*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text.

    Attributes:
        percent: whether it is written as a percentage; `value` is what stands before the sign.
        start: where it begins in the text as `plain` gives it.
    """

    value: Fraction
    percent: bool = False
    start: int = 0


def plain(text: str) -> str:
    """Text with LaTeX and typographic forms of numbers turned into ordinary ones."""
    text = _WIDE_SPACE.sub(",", text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace("\u2044", "/").replace("\u2013", "-")


def numbers(text: str) -> list[Number]:
    """All numbers in a text, in order; written out ones only where there are no digits."""
    text = plain(text)
    found = [number for match in _NUMBER.finditer(text) if (number := _parsed(match)) is not None]
    return found or list(_written_out(text))


def _parsed(match: re.Match[str]) -> Number | None:
    if len(match.group()) > _MOST_CHARACTERS:
        return None
    value = _decimal(match["value"])
    exponent = int(match["exponent"] or match["power"] or 0)
    to = int(match["to"] or 1)
    if abs(exponent) > _LARGEST_EXPONENT or abs(to) > _LARGEST_EXPONENT or (value == 0 and to < 0):
        return None
    value = value**to * Fraction(10) ** exponent
    divisor = _decimal(match["denominator"] or match["bottom"] or "1")
    if divisor == 0:
        return None
    value = value + Fraction(int(match["top"])) / divisor if match["top"] else value / divisor
    value *= _SCALES.get((match["scale"] or "").lower(), 1)
    negative = "-" in (match["sign"] or "") or bool(match["late"])
    return Number(-value if negative else value, bool(match["percent"]), match.start())


def _decimal(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _written_out(text: str) -> Iterator[Number]:
    position = 0
    while True:
        match = _WORDS.search(text, position)
        if match is None:
            return
        total = current = 0
        start, negative = match.start(), match.group().lower().startswith(("minus", "negative"))
        while match is not None:
            word = re.findall(r"[a-z]+", match.group().lower())
            term = next(w for w in word if w in _SMALL or w == "hundred" or w in _SCALES)
            if term in _SMALL:
                current += _SMALL[term]
            elif term == "hundred":
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * _SCALES[term], 0
            position = match.end()
            match = _WORDS.match(text, position)
        value = Fraction(total + current)
        yield Number(-value if negative else value, start=start)
