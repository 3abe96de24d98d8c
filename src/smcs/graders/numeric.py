r"""Equality of numbers, however they are written; units do not count.

The number is the first one of what the response states last (``\boxed{...}``, "the answer is ...", "Answer: ..."),
after its last equals sign; where it states nothing, the last number of the response.

``meta``: ``tolerance`` (largest difference), ``relative_tolerance`` (as a share of the label). Without them the numbers
must be equal.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from smcs.graders._numbers import Number, numbers
from smcs.graders._stated import statements, to_the_point
from smcs.types import Grade, Question

_TOLERANCES = ("tolerance", "relative_tolerance")
_MOST_DIGITS = 60
_DENIED = re.compile(r"(?:not|never)\b", re.IGNORECASE)


class NumericGrader:
    """The grader ``numeric``."""

    name = "numeric"
    version = "2"

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        found = numbers(question.answer or "")
        if len(found) != 1:
            return f"the answer of a numeric question is one number, not {question.answer!r}"
        for key in _TOLERANCES:
            value = question.meta.get(key, 0)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                return f"meta.{key} must be a number from 0, not {value!r}"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The number as an integer or a fraction in lowest terms, such as ``-5`` or ``3/4``."""
        number = _answer(response)
        return None if number is None else _shown(number.value)

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the number with the label."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        (label,) = numbers(question.answer or "")
        number = _answer(response)
        if number is None:
            return Grade(False)
        return Grade(_equal(number, label, question.meta), _shown(number.value))


def _answer(response: str) -> Number | None:
    response = to_the_point(response)
    for statement in reversed(statements(response)):
        if _DENIED.match(statement.text):
            continue
        said = statement.text.rpartition("=")[2] if "=" in statement.text else statement.text
        found = numbers(said) or numbers(statement.text)
        if found:
            return found[0]
    found = numbers(response)
    return found[-1] if found else None


def _equal(answer: Number, label: Number, meta: Any) -> bool:
    allowed = Fraction(meta.get("tolerance", 0)) + abs(label.value) * Fraction(meta.get("relative_tolerance", 0))
    values = [answer.value]
    if answer.percent and not label.percent:
        values.append(answer.value / 100)  # 50% for 0.5
    if label.percent and not answer.percent:
        values.append(answer.value * 100)  # 0.5 for 50%
    return any(abs(value - label.value) <= allowed for value in values)


def _shown(value: Fraction) -> str:
    text = str(value)
    return (
        text if len(text) <= _MOST_DIGITS else f"{float(value):.15e}" if abs(value) < 10**300 else text[:_MOST_DIGITS]
    )


def create() -> NumericGrader:
    """Build the grader."""
    return NumericGrader()
