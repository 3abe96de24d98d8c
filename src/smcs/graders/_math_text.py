"""Finding the answer in a mathematical response, and the normal form of what needs no algebra."""

from __future__ import annotations

import re
from fractions import Fraction

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{|[^\s{])")
_BETWEEN_BOXES = re.compile(r"[\s$,;.*]*(?:\\[()\[\]\s]*)*(?:and|or|,)?(?:[\s$,;]|\\[()\[\]\s])*(?:[A-Za-z]\s*=\s*)?")
_ANSWER = re.compile(r"\banswer\b\**[^.:=\n]{0,60}?(?:\bis\b|:|=)\s*\**\s*:?\s*", re.IGNORECASE)
_MATHS = re.compile(
    r"\$\$(?P<a>.+?)\$\$|\\\[(?P<b>.+?)\\\]|(?<!\\)\$(?P<c>[^$\n]+?)(?<!\\)\$|\\\((?P<d>.+?)\\\)", re.DOTALL
)
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?"
_NUMBER_IN_TEXT = re.compile(r"(?<![\w.])[-+]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+)?%?")
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s|$)|\n")
_PLAIN = re.compile(rf"(?P<n>{_NUMBER})(?:/(?P<d>\d+))?")
_TEX_FRACTION = re.compile(r"([-+]?)\\frac(?:\{(\d+)\}|(\d))(?:\{(\d+)\}|(\d))")
_TEXT_MACRO = re.compile(r"\\(?:text|textbf|textrm|mbox|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}")
_UNIT_AFTER_NUMBER = re.compile(r"(?<=[\d}])\\?\s*\\(?:text|textbf|mbox|mathrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?$")
_LEFT_SIDE = re.compile(r"^\s*(?:[A-Za-z](?:_\{?\w+\}?)?|[A-Za-z]\([A-Za-z]\))\s*=(?!=)\s*")


def find_answer(response: str) -> str | None:
    r"""The text of the answer: last ``\boxed``, else what follows the last "the answer is", else last expression."""
    return _last_box(response) or _announced(response) or _last_expression(response)


def last_boxed(text: str) -> str | None:
    r"""The content of the last ``\boxed``, or None."""
    boxes = _boxes(text)
    return boxes[-1][2] if boxes else None


def _boxes(text: str) -> list[tuple[int, int, str]]:
    boxes = []
    for match in _BOX.finditer(text):
        content, end = _argument(text, match.end())
        if content.strip():
            boxes.append((match.start(), end, content.strip()))
    return boxes


def _last_box(response: str) -> str | None:
    boxes = _boxes(response)
    if not boxes:
        return None
    answers = [boxes[-1][2]]
    following = boxes[-1][0]
    for start, end, content in reversed(boxes[:-1]):  # "\boxed{2} and \boxed{3}" is one answer of two values
        if end > following or not _BETWEEN_BOXES.fullmatch(response, end, following):
            break
        if content not in answers:
            answers.insert(0, content)
        following = start
    return ", ".join(answers)


def _argument(text: str, start: int) -> tuple[str, int]:
    """The braced group, or single word, at `start`, and where it ends; empty where the group is not closed."""
    if text[start] != "{":
        word = re.compile(r"[^\s$.,]+").match(text, start)
        return (word.group(), word.end()) if word else ("", start)
    depth = 0
    for i in range(start, len(text)):
        if text[i] in "{}" and (i == 0 or text[i - 1] != "\\"):
            depth += 1 if text[i] == "{" else -1
            if depth == 0:
                return text[start + 1 : i], i + 1
    return "", start


def _announced(response: str) -> str | None:
    for match in reversed(list(_ANSWER.finditer(response))):
        rest = response[match.end() :].lstrip()
        maths = _MATHS.match(rest)
        if maths:
            return _content(maths)
        line = _SENTENCE_END.split(rest, maxsplit=1)[0].strip().strip("*`\"'").strip()
        if line and not _BOX.match(line):
            return _from_sentence(line)
    return None


def _from_sentence(line: str) -> str:
    """An answer given in words: the formula in it, its only number, else the words."""
    maths = list(_MATHS.finditer(line))
    if maths:
        return _content(maths[-1])
    numbers = _NUMBER_IN_TEXT.findall(line)
    if len(numbers) == 1 and re.search(r"[A-Za-z]{2,}", line) and "\\" not in line:
        return str(numbers[0])
    return line


def _last_expression(response: str) -> str | None:
    maths = list(_MATHS.finditer(response))
    numbers = list(_NUMBER_IN_TEXT.finditer(response))
    if maths and (not numbers or numbers[-1].start() < maths[-1].end()):
        return _content(maths[-1])
    return numbers[-1].group() if numbers else None


def _content(match: re.Match[str]) -> str:
    return next((g for g in match.groups() if g is not None), "").strip()


def clean(answer: str) -> str:
    """The expression with what changes its look but not its value taken off."""
    text = answer.strip().replace("\u2212", "-").replace("\u2013", "-")
    text = text.strip("`").removeprefix("**").removesuffix("**").strip()
    while len(text) > 1 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    text = re.sub(r"\\(?:left|right|displaystyle)(?![A-Za-z])", "", text)
    text = re.sub(r"\\[dt]frac(?![A-Za-z])", r"\\frac", text)
    text = re.sub(r"\\[!,;:>]|\{,\}\\?!?|~", lambda m: "," if m.group().startswith("{,}") else "", text)
    return text.rstrip(".;,").strip()


def as_number(answer: str) -> Fraction | None:
    """The exact value of a plain number (``1,234``, ``-3/4``, ``\\frac{1}{2}``, ``$5``, ``90^\\circ``), else None."""
    text = _LEFT_SIDE.sub("", clean(answer))
    text = _UNIT_AFTER_NUMBER.sub("", text)
    text = re.sub(r"\\\$|\$|\s+|\^?\{?\\circ\}?|\\degree|°", "", text)
    fraction = _TEX_FRACTION.fullmatch(text)
    if fraction:
        sign, top, top_digit, bottom, bottom_digit = fraction.groups()
        return _ratio(sign + (top or top_digit), bottom or bottom_digit)
    plain = _PLAIN.fullmatch(text)
    if not plain or not re.search(r"\d", plain["n"]):
        return None
    return _ratio(plain["n"].replace(",", ""), plain["d"] or "1")


def _ratio(top: str, bottom: str) -> Fraction | None:
    if len(top) > 1000 or len(bottom) > 1000 or int(bottom) == 0:
        return None
    return Fraction(top) / int(bottom)


def is_words(answer: str) -> bool:
    """Whether the answer is a word or a letter, not a formula: ``Evelyn``, ``\\text{even}``, ``(C)``."""
    text = clean(answer)
    return bool(
        re.fullmatch(r"[A-Za-z]{3,}(?: [A-Za-z]+)*", text) or re.fullmatch(r"\(?[A-Z]\)?", _TEXT_MACRO.sub(r"\1", text))
    )


def as_words(answer: str) -> str:
    """The answer as a text to compare: without text macros, spaces, case, and brackets around one letter."""
    text = _TEXT_MACRO.sub(r"\1", clean(answer))
    text = re.sub(r"\s+", " ", text).strip()
    single = re.fullmatch(r"\(?([A-Za-z])\)?", text)
    return single.group(1) if single else re.sub(r"\s", "", text).casefold()
