"""A regular expression that the whole response must match, white space around it aside.

To look for something within the response, write ``(?s).*something.*``. ``meta``: ``example`` and ``counterexample``, a
response that must match and one that must not; both are checked when the question joins a bank.
"""

from __future__ import annotations

import re

from smcs.types import Grade, Question

_LONGEST = 1000


class RegexGrader:
    """The grader ``regex``."""

    name = "regex"
    version = "1"
    time_limit_s = 10.0  # a pattern may take exponential time

    def check(self, question: Question) -> str | None:
        """Why the pattern cannot be used, or None."""
        if not question.answer:
            return "the answer must be a regular expression, and this question has none"
        try:
            pattern = re.compile(question.answer)
        except re.error as error:
            return f"the answer is no regular expression: {error}"
        for key, matches in (("example", True), ("counterexample", False)):
            text = question.meta.get(key)
            if text is not None and not isinstance(text, str):
                return f"meta.{key} must be a text, not {text!r}"
            if text is not None and bool(pattern.fullmatch(text.strip())) is not matches:
                return f"meta.{key} {text!r} {'does not match' if matches else 'matches'} the answer's pattern"
        return None

    def extract(self, response: str, question: Question) -> str | None:
        """The response itself, without white space around it."""
        return response.strip()[:_LONGEST] or None

    def grade(self, response: str, question: Question) -> Grade:
        """Match the response."""
        try:
            pattern = re.compile(question.answer or "")
        except re.error as error:
            return Grade(None, reason=f"the answer is no regular expression: {error}")
        if not question.answer:
            return Grade(None, reason="the question has no pattern")
        return Grade(pattern.fullmatch(response.strip()) is not None, self.extract(response, question))


def create() -> RegexGrader:
    """Build the grader."""
    return RegexGrader()
