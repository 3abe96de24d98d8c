from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.graders.exact import create
from smcs.types import Question

GRADER = create()
WORDS = st.from_regex(r"[A-Za-z][a-z]{1,8}( [a-z]{1,8}){0,3}", fullmatch=True)


def grade(response: str, answer: str, **meta: Any) -> bool | None:
    return GRADER.grade(response, Question("?", answer=answer, meta=meta)).correct


@pytest.mark.parametrize(
    "response",
    [
        "Paris",
        "  paris.\n",
        '"Paris"',
        "**Paris**",
        "`Paris`",
        "(Paris)",
        "$\\text{Paris}$",
        "The capital of France is Paris.",
        "It is **Paris**.",
        "The answer is Paris.",
        "the final answer is: Paris",
        "The answer is Paris, the capital of France.",
        "The answer is Paris because of its history.",
        "The answer is Paris (France).",
        "The answer is Paris. It lies on the Seine.",
        "The correct answer to the question is therefore Paris",
        "Answer: Paris",
        "**Answer:** Paris",
        "**Final Answer**: Paris",
        "Answer:\n\nParis",
        "Some thoughts.\n\n#### Paris",
        "So we get $\\boxed{\\text{Paris}}$.",
        "I thought of Lyon.\nThe answer is Lyon. No, wait: the answer is Paris.",
        "Let me think.\n\nParis",
        "1. Think\n2. Paris",
    ],
)
def test_a_stated_answer_is_found(response: str) -> None:
    assert grade(response, "Paris") is True


@pytest.mark.parametrize(
    "response",
    [
        "",
        "   ",
        "Lyon",
        "I love Paris and Lyon",
        "Paris was my first thought.\nThe answer is Lyon.",
        "The answer is not Paris.",
        "It is not **Paris**",
        "The capital isn't Paris",
        "The answer is Paris or Lyon",
        "The answer is Paris, Lyon",
        "Is it Paris? I do not know.",
        "Paris is nice. So is Lyon.",
        "Parisian",
        "The wrong answer is Paris",
    ],
)
def test_an_answer_that_merely_occurs_is_none(response: str) -> None:
    assert grade(response, "Paris") is False


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("The answer is St. Petersburg. It was founded in 1703.", "St. Petersburg"),
        ("The answer is 3.5", "3.5"),
        ("Answer: [1,2,  3]", "[1, 2, 3]"),
        ("```\n0 1\n1 0\n```", "0 1\n1 0"),
        ("Answer:\n```\n0 1\n1 0\n```", "0 1\n1 0"),
        ("The answer is the Nile", "Nile"),
        ("The Nile.", "a Nile"),
        ("A", "A"),
        ("The answer is A", "a"),
        ("?!", "?!"),
        ("ＰＡＲＩＳ", "Paris"),  # noqa: RUF001  (full width)
        ("The answer is never.", "never"),
        ("The answer is definitely.", "definitely"),
        ("it prints: abc", "abc"),
        ("The output is `x = 1`", "x = 1"),
        ("Washington, D.C.", "Washington, D.C."),
        ("The answer is Washington, D.C.", "Washington, D.C."),
    ],
)
def test_forms_that_are_equal(response: str, answer: str) -> None:
    assert grade(response, answer) is True


def test_aliases_and_case() -> None:
    assert grade("USA", "United States", aliases=["USA", "US"]) is True
    assert grade("UK", "United States", aliases=["USA", "US"]) is False
    assert grade("cat", "CAT") is True
    assert grade("cat", "CAT", case_sensitive=True) is False
    assert grade("The output is CAT.", "CAT", case_sensitive=True) is True


def test_check_names_what_is_wrong() -> None:
    assert "needs an answer" in (GRADER.check(Question("?")) or "")
    assert "meta.aliases" in (GRADER.check(Question("?", answer="x", meta={"aliases": "y"})) or "")
    assert GRADER.check(Question("?", answer="x", meta={"aliases": ["y"]})) is None


def test_without_a_label_nothing_is_graded_but_something_is_extracted() -> None:
    assert GRADER.grade("Paris", Question("?")).correct is None
    assert GRADER.extract("The answer is Paris", Question("?")) == "paris"


@given(WORDS, st.sampled_from(["{}", "The answer is {}.", "Hm.\n\n**Answer:** {}", "So \\boxed{{{}}}", "#### {}"]))
def test_any_label_is_found_in_any_statement(label: str, form: str) -> None:
    assert grade(form.format(label), label) is True


@given(st.text(max_size=300), WORDS)
def test_any_text_is_graded_without_an_error(response: str, label: str) -> None:
    result = GRADER.grade(response, Question("?", answer=label))
    assert result.correct is not None
    if result.correct:
        assert result.extracted
