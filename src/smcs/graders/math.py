r"""Mathematics, judged by math-verify.

The answer is the last ``\boxed{…}``, else what follows the last "the answer is", else the last expression or number.
Plain numbers and equal texts are compared directly; everything else is for math-verify, in a process of its own under
limits of time and memory. What runs away is not graded.
"""

from __future__ import annotations

from fractions import Fraction

from smcs.graders._math_process import MathProcess, RanAwayError
from smcs.graders._math_text import as_number, as_words, clean, find_answer, is_words
from smcs.types import Grade, Question

_LONGEST_ANSWER = 2000  # characters; a longer "answer" is a text, and its algebra only costs time


class MathGrader:
    """The grader ``math``."""

    name = "math"
    version = "1"

    def __init__(self) -> None:
        self._algebra = MathProcess()

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        if question.answer is None or not question.answer.strip():
            return "mathematics needs an answer to compare with, and this question has none"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The answer in normal form: ``1/2`` for all of ``0.5``, ``\\frac12`` and ``\\frac{2}{4}``."""
        found = find_answer(response)
        return self.normal_form(found) if found else None

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the answer with the label."""
        problem = self.check(question)
        if problem or question.answer is None:
            return Grade(None, reason=problem or "")
        found = find_answer(response)
        if not found:
            return Grade(False)
        try:
            correct = self.equal(question.answer, found)
        except RanAwayError as error:
            return Grade(None, clean(found)[:_LONGEST_ANSWER], str(error))
        return Grade(correct, self.normal_form(found))

    def equal(self, gold: str, answer: str) -> bool:
        """Whether the two have the same value.

        Raises:
            RanAwayError: it could not be told within the limits.
        """
        numbers = as_number(gold), as_number(answer)
        if None not in numbers and (numbers[0] == numbers[1] or _both_whole(*numbers)):
            return numbers[0] == numbers[1]
        if as_words(gold) == as_words(answer):
            return True
        if max(len(gold), len(answer)) > _LONGEST_ANSWER:
            return False
        return self._algebra.equal(clean(gold), clean(answer))

    def normal_form(self, answer: str) -> str:
        """One text for all ways to write this value, as far as algebra finds them."""
        number = as_number(answer)
        if number is not None:
            return str(number)
        text = clean(answer)
        if len(text) <= _LONGEST_ANSWER and not is_words(text):
            try:
                form = self._algebra.form(text)
            except RanAwayError:
                form = None
            if form:
                return form
        return as_words(answer)[:_LONGEST_ANSWER]


def _both_whole(*numbers: Fraction | None) -> bool:
    return all(n is not None and n.denominator == 1 for n in numbers)


def create() -> MathGrader:
    """Build the grader."""
    return MathGrader()
