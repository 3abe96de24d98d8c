"""Multiple choice where the options are themselves letters."""

from __future__ import annotations

import pytest

from smcs.graders.choice import create
from smcs.types import Question


@pytest.mark.parametrize(
    ("options", "response", "letter"),
    [
        (("a", "c", "bc", "ad"), "The answer is (C).", "C"),
        (("a", "c", "bc", "ad"), "The answer is C", "C"),
        (("1", "i", "-i", "2i"), "So the answer is (B).", "B"),
        (("W", "X", "Y", "Z"), "The answer is X.", "B"),
        (("red", "blue"), "The answer is blue.", "B"),
    ],
)
def test_a_letter_counts_before_an_option_that_is_the_same(
    options: tuple[str, ...], response: str, letter: str
) -> None:
    question = Question(text="Which?", answer="A", options=options)
    assert create().extract(response, question) == letter
