r"""Equality of texts, but for case, spacing, quotes, end punctuation and a leading article.

The answer is what the response states last (``\boxed{...}``, "the answer is ...", "Answer: ..."), else its last line or
what that line says is the answer. An answer that merely occurs in the response is none.

``meta``: ``aliases`` (other texts that are correct), ``case_sensitive``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smcs.graders._plain import first_sentence, normal_form, without_layout
from smcs.graders._stated import last_line, statements, to_the_point
from smcs.types import Grade, Question

_LONGEST = 1000
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_SAYS = (
    re.compile(r"\b(?:is|are|was|were|be|equals|means|prints?|outputs?|returns?|called)\b:?", re.IGNORECASE),
    re.compile(r"[:=]"),
)
_DENIAL = re.compile(r"\b(?:not|never|neither|cannot|wrong|incorrect)\b|n['\u2019]t\b", re.IGNORECASE)
_ASIDE = re.compile(
    r",?\s+(?:because|since|which|who|whose|where)\b|,\s+(?:the|an?|as|so|not)\s|\s+\(|\s+[-\u2013\u2014]\s",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+(?=\S)")
_MOST_SAID_WORDS = 8


class ExactGrader:
    """The grader ``exact``."""

    name = "exact"
    version = "2"

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        if question.answer is None or not question.answer.strip():
            return "an exact comparison needs an answer to compare with, and this question has none"
        aliases = question.meta.get("aliases", [])
        if not isinstance(aliases, list | tuple) or not all(isinstance(a, str) and a.strip() for a in aliases):
            return f"meta.aliases must be a list of texts, not {aliases!r}"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The answer in normal form."""
        return next(_readings(response, _keeps_case(question)), None)

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the answer with the label and its aliases."""
        problem = self.check(question)
        if problem or question.answer is None:
            return Grade(None, reason=problem or "")
        keep = _keeps_case(question)
        right = {normal_form(text, keep_case=keep) for text in (question.answer, *question.meta.get("aliases", ()))}
        readings = list(_readings(response, keep))
        for reading in readings:
            if reading in right:
                return Grade(True, reading)
        whole = normal_form(response, keep_case=keep)
        if whole in right:  # an answer of several lines, and nothing else
            return Grade(True, whole)
        return Grade(False, readings[0] if readings else None)


def _keeps_case(question: Question) -> bool:
    return question.meta.get("case_sensitive") is True


def _readings(response: str, keep_case: bool) -> Iterator[str]:
    """What may be meant as the answer, the likeliest first. Only of what is stated last."""
    for text in _spans(response):
        form = normal_form(text, keep_case=keep_case)
        if form:
            yield form[:_LONGEST]


def _spans(response: str) -> Iterator[str]:
    response = to_the_point(response)
    stated = statements(response)
    if stated:
        yield from _of_statement(stated[-1].text, boxed=stated[-1].boxed)
        return
    line = _LIST_MARK.sub("", last_line(response))
    if not line:
        return
    bold = _BOLD.findall(line)
    if len(bold) == 1 and not _DENIAL.search(line):
        yield bold[0]
    yield from _said(line)
    yield line


def _of_statement(text: str, *, boxed: bool) -> Iterator[str]:
    if boxed:
        yield text
        return
    plain = without_layout(text)
    sentence = first_sentence(plain)
    yield sentence
    yield plain
    aside = _ASIDE.search(sentence)
    if aside:
        yield sentence[: aside.start()]


def _said(line: str) -> Iterator[str]:
    """Of "The capital of Portugal is Lisbon." the last word: what a sentence says in the end that something is."""
    plain = without_layout(line)
    if _DENIAL.search(plain):
        return
    for says in _SAYS:
        *_, end = 0, *(match.end() for match in says.finditer(plain))
        if end and 0 < len(plain[end:].split()) <= _MOST_SAID_WORDS:
            yield plain[end:]


def create() -> ExactGrader:
    """Build the grader."""
    return ExactGrader()
