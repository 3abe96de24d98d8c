r"""Multiple choice: the letter that a response settles on.

Stated letters count first, the last of them where the LLM revises: "the answer is (C)", "Answer: C", ``\boxed{C}``,
"option C is correct", "I choose C", or the text of an option in their place. Else the response may begin with the
letter ("C. Because ...", "C"), end with a line of nothing but it, or state the text of exactly one option. A letter
that merely stands in the text is none, and a response without one is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from string import ascii_uppercase

from smcs.graders._plain import first_sentence, lines_without_layout, normal_form
from smcs.graders._stated import last_line, statements, to_the_point
from smcs.types import Grade, Question

# A letter by itself: in brackets, or not followed by what makes it part of a name ("A train", "B cells", "E. coli").
_BRACKETED = r"[(\[{]\s*(?P<bracketed>[A-Za-z])\s*[)\]}]"
_GOES_ON = r"[ ](?:(?:because|since|as|due|which|given|with|is|are|was|and\sthe)\b|[\u2013\u2014-])"
_END = rf"(?=\s*(?:$|[,;!?)\]}}]|[.:](?:\s|$)|\n)|{_GOES_ON})"
_OTHERS = r"(?!\s*(?:,|and\b|or\b|&|/)[\s,&]*(?:and\b|or\b)?\s*\(?[A-HJ-Z]\b)"  # "B, E and H" is no choice
_LETTER = rf"(?:{_BRACKETED}|[(\[]?(?P<bare>[A-Z]){_END}|(?P<small>[a-z])(?=[.)]?\s*$)){_OTHERS}"
_ONLY_LETTER = re.compile(rf"{_BRACKETED}|(?P<bare>[A-Z])\W*$")
_AT_START = re.compile(rf"(?:the\s+)?(?:option|choice|letter|answer)?\s*:?\s*{_LETTER}", re.MULTILINE)
_SAID_OF = re.compile(
    r"(?:\b(?:option|choice|answer)\s+)?(?:[(\[]\s*(?P<bracketed>[A-Za-z])\s*[)\]]|(?<![\w'\u2019-])(?P<bare>[A-Z]))"
    r"\s+(?:is|would\s+be|must\s+be)\s+(?:therefore\s+|thus\s+|indeed\s+|clearly\s+)?(?:the\s+)?"
    r"(?:most\s+)?(?:correct|right|best|accurate|appropriate|answer)\b(?!\s+(?:if|when|only))"
)
_CHOSEN = re.compile(
    r"\b(?:I(?:\s+would|['\u2019]d|\s+will|['\u2019]ll)?\s+(?:choose|select|pick|go\s+with|opt\s+for)"
    r"|(?:we|you)\s+(?:should\s+)?(?:choose|select|pick))\s+"
    rf"(?:the\s+)?(?:option|choice|answer)?\s*{_LETTER}",
    re.MULTILINE,
)
_IN_BRACKETS = re.compile(rf"\banswer\s+{_BRACKETED}{_OTHERS}", re.IGNORECASE)
_LINE_START = re.compile(r"^[ \t]*(?:[(\[]?(?P<letter>[A-Z])[)\]]|(?P<plain>[A-Z])[.:](?=\s|$))", re.MULTILINE)
_ALONE = re.compile(r"\W*(?:option\s+)?(?P<letter>[A-Za-z])\W*", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|never|neither|nor|cannot|incorrect|wrong)\b|n['\u2019]t\b", re.IGNORECASE)
_LONGEST_WITHOUT_LETTER = 300


class ChoiceGrader:
    """The grader ``choice``."""

    name = "choice"
    version = "3"

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        if question.options is not None and len(question.options) > len(ascii_uppercase):
            return f"{len(question.options)} options are more than there are letters"
        if _label(question) is None:
            last = f"A to {_letters(question)[-1]}" if question.options else "A to Z"
            return f"the answer of a multiple-choice question is one of its letters ({last}), not {question.answer!r}"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The letter, or None."""
        text = _readable(response)
        stated = [letter for _, letter in sorted(_stated(text, question))]
        return stated[-1] if stated else _shown(text, question)

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the letter with the label."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        letter = self.extract(response, question)
        return Grade(letter == _label(question), letter)


def _letters(question: Question) -> str:
    return ascii_uppercase[: len(question.options)] if question.options else ascii_uppercase


def _label(question: Question) -> str | None:
    """The label as a letter; it may be given as one, or as the text of an option."""
    answer = (question.answer or "").strip()
    letter = answer.strip("()[]. ").upper()
    if len(letter) == 1 and letter in _letters(question):
        return letter
    same = [i for i, option in enumerate(question.options or ()) if option.strip() == answer]
    return ascii_uppercase[same[0]] if len(same) == 1 else None


def _readable(response: str) -> str:
    """The response without emphasis and LaTeX wrappers, as far as it is about the question."""
    return lines_without_layout(to_the_point(response))


def _stated(text: str, question: Question) -> Iterator[tuple[int, str]]:
    """Letters that the response settles on, each with its place."""
    for statement in statements(text):
        letter = _of_statement(statement.text, question)
        if letter is not None:
            yield statement.start, letter
    for pattern in (_SAID_OF, _CHOSEN, _IN_BRACKETS):
        for match in pattern.finditer(text):
            letter = _valid(match, question)
            if letter is not None:
                yield match.start(), letter


def _of_statement(said: str, question: Question) -> str | None:
    """The letter that a statement begins with, or whose option's text it is."""
    only = _ONLY_LETTER.match(said)  # before the texts: options may themselves be letters, in another order
    letter = _valid(only, question) if only else None
    if letter is not None:
        return letter
    by_text = _option_equal_to(said, question) or _option_equal_to(first_sentence(said), question)
    if by_text is not None:
        return by_text
    match = _AT_START.match(said)
    return _valid(match, question) if match else None


def _valid(match: re.Match[str], question: Question) -> str | None:
    groups = match.groupdict()
    letter = next((groups[g] for g in ("bracketed", "bare", "small") if groups.get(g)), "").upper()
    return letter if letter and letter in _letters(question) else None


def _shown(text: str, question: Question) -> str | None:
    """The letter that a response without a statement begins with or ends on, or whose option's text it gives."""
    alone = _ALONE.fullmatch(last_line(text))
    if alone and alone["letter"].upper() in _letters(question):
        return alone["letter"].upper()
    whole = _option_equal_to(text, question)
    if whole is not None:
        return whole
    starts = [match["letter"] or match["plain"] for match in _LINE_START.finditer(text)]
    lines = text.strip().splitlines()
    first = _LINE_START.match(text.strip()) or (lines and _ALONE.fullmatch(lines[0]))
    if first and len(set(starts)) <= 1:
        letter = next(group for group in first.groups() if group).upper()
        return letter if letter in _letters(question) else None
    return _option_in(text, question)


def _option_equal_to(text: str, question: Question) -> str | None:
    form = normal_form(text)
    same = [i for i, option in enumerate(question.options or ()) if _option_form(option) == form]
    return ascii_uppercase[same[0]] if len(same) == 1 and form else None


_option_form = lru_cache(maxsize=4096)(normal_form)
"""Options come again with the next LLM's response."""


def _option_in(text: str, question: Question) -> str | None:
    """The letter of the one option whose text the response gives."""
    last = _option_equal_to(last_line(text), question)
    if last is not None:
        return last
    if len(text) > _LONGEST_WITHOUT_LETTER or _DENIAL.search(text):
        return None
    rest, given = normal_form(text), set()
    # Longer options first, each taken out: an option may be part of another.
    by_length = sorted(enumerate(question.options or ()), key=lambda item: -len(item[1]))
    for i, option in by_length:
        pattern = rf"(?<!\w){re.escape(_option_form(option))}(?!\w)"
        if len(_option_form(option)) > 1 and re.search(pattern, rest):
            given.add(i)
            rest = re.sub(pattern, " ", rest)
    return ascii_uppercase[given.pop()] if len(given) == 1 else None


def create() -> ChoiceGrader:
    """Build the grader."""
    return ChoiceGrader()
