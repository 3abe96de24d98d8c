"""AIME: every answer is an integer from 0 to 999.

The answer is found as in mathematics and must have such an integer as its value; leading zeros do not matter.
"""

from __future__ import annotations

from smcs.graders._math_text import as_number, find_answer
from smcs.graders.math import MathGrader
from smcs.types import Grade, Question

_LARGEST = 999


class AimeGrader:
    """The grader ``aime``."""

    name = "aime"
    version = "1"

    def __init__(self) -> None:
        self._math = MathGrader()

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        value = as_number(question.answer or "")
        if value is None or value.denominator != 1 or not 0 <= value <= _LARGEST:
            return f"an AIME answer is an integer from 0 to {_LARGEST}, not {question.answer!r}"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The answer in normal form, such as ``25`` for ``025``."""
        found = find_answer(response)
        if not found:
            return None
        right_side = as_number(found.rpartition("=")[2])  # "m+n = 25"
        return self._math.normal_form(found) if right_side is None else str(right_side)

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the answer with the label."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        answer = self.extract(response, question)
        return Grade(answer is not None and answer == str(as_number(question.answer or "")), answer)


def create() -> AimeGrader:
    """Build the grader."""
    return AimeGrader()
