from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.graders.choice import create
from smcs.types import Question

GRADER = create()
QUESTION = Question("?", answer="B", options=("London", "Paris", "Rome", "E. coli"))


def letter(response: str, question: Question = QUESTION) -> str | None:
    return GRADER.extract(response, question)


@pytest.mark.parametrize(
    "response",
    [
        "B",
        "b",
        "(B)",
        "B.",
        "**B**",
        "[B]",
        "B) Paris",
        "B. Paris",
        "B: Paris",
        "**B. Paris**",
        "(B) Paris",
        "B\n\nBecause it is.",
        "B. Because London is in England.",
        "The answer is B",
        "The answer is (B).",
        "The answer is **B**.",
        "The answer is $\\boxed{B}$",
        "\\boxed{\\text{B}}",
        "\\boxed{(B)}",
        "\\boxed{\\text{B. Paris}}",
        "Answer: B",
        "answer: b",
        "**Answer:** (B) Paris",
        "Final Answer:\n\nB",
        "The correct answer is option B.",
        "The correct option is (B)",
        "The best choice is B, since it is the capital.",
        "The answer is B because it is.",
        "The answer is B - Paris",
        "Option A is wrong. Option B is correct.",
        "(B) is the correct answer.",
        "I would choose B.",
        "I'll go with option (B).",
        "Therefore, the answer (B)",
        "The answer is (B",
        "So the answer is (B. Paris).",
        "The answer is Paris.",
        "Answer: Paris",
        "Paris",
        "paris.",
        "It must be Paris, I think.",
        "The answer is (A). Wait, that is wrong. The answer is (B).",
        "Long thoughts about A train and C cells.\n\nB",
        "The answer is B.\n\nQuestion: And which is the capital of Italy?\nThe answer is C.",
        "The answer is (B).\n\nA. red\nB. green\n\nThe answer is (A).",
        "The answer is B\\.",
    ],
)
def test_a_letter_that_is_settled_on_is_found(response: str) -> None:
    assert letter(response) == "B"
    assert GRADER.grade(response, QUESTION).correct is True


@pytest.mark.parametrize(
    "response",
    [
        "",
        "I do not know.",
        "A train leaves at noon.",
        "A",  # asked of a question whose options are B and C only, see below
        "The answer is A cat.",
        "The answer is B cells.",
        "The answer is X.",
        "The answer is (Z).",
        "The answer is A, B and C.",
        "The answer is (A, B).",
        "The answer is A or B",
        "A. London is wrong.\nB. Paris is wrong too.",
        "not Paris",
        "It could be London or Paris.",
        "Vitamin B is good. Plan A failed.",
        "C",
    ],
)
def test_a_letter_that_merely_stands_there_is_none(response: str) -> None:
    if response in ("A", "C"):
        assert letter(response) == response
        return
    assert letter(response) is None
    assert GRADER.grade(response, QUESTION).correct is False


def test_a_name_that_looks_like_a_letter_is_the_option_that_it_names() -> None:
    assert letter("The answer is E. coli") == "D"
    assert letter("E. coli") == "D"


def test_options_within_options() -> None:
    question = Question("?", answer="A", options=("salt water", "water", "sea"))
    assert letter("It is salt water", question) == "A"
    assert letter("It is water", question) == "B"
    assert letter("The answer is water.", question) == "B"


def test_letters_without_options() -> None:
    assert letter("The answer is (J).", Question("?", answer="J")) == "J"


def test_labels() -> None:
    assert GRADER.check(QUESTION) is None
    for good in ("b", "(B)", "B.", "Paris"):
        question = Question("?", answer=good, options=QUESTION.options)
        assert GRADER.check(question) is None
        assert GRADER.grade("The answer is B", question).correct is True
    for bad in (None, "", "E", "Berlin", "AB", "1"):
        problem = GRADER.check(Question("?", answer=bad, options=QUESTION.options))
        assert problem is not None
        assert "(A to D)" in problem
    assert "more than there are letters" in (GRADER.check(Question("?", answer="A", options=("x",) * 27)) or "")


@given(
    st.integers(2, 10).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    st.sampled_from(
        ["{}", "({})", "The answer is ({}).", "Because.\n\n**Answer:** {}", "\\boxed{{{}}}", "{}. It is so."]
    ),
)
def test_every_letter_is_found_in_every_statement(choice: tuple[int, int], form: str) -> None:
    count, right = choice
    question = Question("?", answer="ABCDEFGHIJ"[right], options=tuple(f"option number {i}" for i in range(count)))
    assert GRADER.grade(form.format("ABCDEFGHIJ"[right]), question).correct is True


@given(st.text(max_size=300))
def test_any_text_is_graded_without_an_error(response: str) -> None:
    assert GRADER.grade(response, QUESTION).correct in (True, False)


@given(st.from_regex(r"[a-z ]{0,50}[.!?]?", fullmatch=True))
def test_small_letters_in_prose_are_no_choice(response: str) -> None:
    if (
        len(response.strip(" .!?")) > 1
        and "paris" not in response
        and "rome" not in response
        and "london" not in response
    ):
        found = letter(response)
        assert found is None or response.rsplit(maxsplit=1)[-1].strip(".!?") == found.lower()
