from __future__ import annotations

from smcs.graders.regex import create
from smcs.types import Question

GRADER = create()


def test_the_whole_response_must_match() -> None:
    question = Question("?", answer="(?i)banana")
    assert GRADER.grade(" Banana\n", question).correct is True
    assert GRADER.grade("Banana.", question).correct is False
    assert GRADER.grade("a banana", question).correct is False
    assert GRADER.grade("", question).correct is False


def test_something_within_the_response() -> None:
    question = Question("?", answer=r"(?s).*\d{4}.*")
    assert GRADER.grade("in the\nyear 1969\nor so", question).correct is True


def test_examples_are_checked() -> None:
    assert GRADER.check(Question("?", answer=r"\d+", meta={"example": "12", "counterexample": "x"})) is None
    assert "'x' does not match" in (GRADER.check(Question("?", answer=r"\d+", meta={"example": "x"})) or "")
    assert "'1' matches" in (GRADER.check(Question("?", answer=r"\d+", meta={"counterexample": "1"})) or "")
    assert "must be a text" in (GRADER.check(Question("?", answer=r"\d+", meta={"example": 1})) or "")


def test_patterns_that_are_none() -> None:
    for answer in ("(", None, ""):
        question = Question("?", answer=answer)
        assert GRADER.check(question) is not None
        assert GRADER.grade("x", question).correct is None
