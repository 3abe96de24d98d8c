r"""GSM8K: the number that the response ends with, equal to the label.

Read from the "answer" field where the response is JSON, else from the last ``\boxed{…}``, ``#### …`` or "the answer
is …", else the last number. Normal form: no currency, thousands separators, units or percent sign; the first number of
the field; ``a/b`` as its value.
"""

from __future__ import annotations

import re
from fractions import Fraction

from smcs.graders._json_answer import json_answer
from smcs.graders._math_text import find_answer
from smcs.types import Grade, Question

_MARKED = re.compile(r"####\s*(.+)")
_NUMBER = re.compile(r"(-?)\s*[$€£]?\s*(-?)((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:\s*/\s*(\d+))?")


def normal_form(text: str) -> str | None:
    """The first number of a text: ``18`` for ``$18.00 per day``, ``1/3`` for ``2/6``; None where there is none."""
    text = text.replace("\u2212", "-").replace("\\$", "$").replace("{,}", ",").replace("\\,", "").replace("\\!", "")
    text = re.sub(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}", r"\1/\2", text)
    match = _NUMBER.search(text)
    if not match:
        return None
    sign, inner_sign, number, denominator = match.groups()
    if len(number) > 1000 or len(denominator or "") > 1000:
        return None
    value = Fraction(number.replace(",", ""))
    if denominator and int(denominator):
        value /= int(denominator)
    return str(-value if sign or inner_sign else value)


class Gsm8kGrader:
    """The grader ``gsm8k``."""

    name = "gsm8k"
    version = "1"

    def check(self, question: Question) -> str | None:
        """Why the label cannot be used, or None."""
        if normal_form(question.answer or "") is None:
            return f"a GSM8K answer is a number, not {question.answer!r}"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The number in normal form, or None where there is none."""
        field = json_answer(response)
        if field is not None:
            return normal_form(field)
        marked = _MARKED.findall(response)
        found = marked[-1] if marked else find_answer(response)
        return normal_form(found) if found else None

    def grade(self, response: str, question: Question) -> Grade:
        """Compare the number with the label."""
        problem = self.check(question)
        if problem:
            return Grade(None, reason=problem)
        answer = self.extract(response, question)
        return Grade(answer is not None and answer == normal_form(question.answer or ""), answer)


def create() -> Gsm8kGrader:
    """Build the grader."""
    return Gsm8kGrader()
