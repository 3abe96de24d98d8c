"""GSM8K: the number of the answer field, or of the last sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.graders.gsm8k import create, normal_form
from smcs.types import Question


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("18", "18"),
        ("$1,430", "1430"),
        ("$18.00 per day", "18"),
        ("2.50", "5/2"),
        ("25%", "25"),
        ("2/6 of it", "1/3"),
        ("-3", "-3"),
        ("-$3", "-3"),
        ("1,450,000", "1450000"),
        (".5", "1/2"),
        ("about 12 or 13", "12"),
        ("3.", "3"),
        ("\u22127", "-7"),
        (r"\frac{1}{4}", "1/4"),
        (r"\$60", "60"),
        ("5/0", "5"),
        ("none", None),
        ("", None),
    ],
)
def test_normal_form(text: str, form: str | None) -> None:
    assert normal_form(text) == form


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        ('{"reasoning": "6 * 3 = 18", "answer": "18"}', "18"),
        ('```json\n{\n    "reasoning": "...",\n    "answer": "$1,430"\n}\n```', "1430"),
        ('{"reasoning": "a \\"quote\\"", "answer": 18}', "18"),
        ('{"reasoning": "broken "quotes" here", "answer": "18 eggs"}', "18"),
        ('{"answer": "70"}\nSorry:\n{"answer": "100"}', "70"),
        ("She has 3 eggs.\n#### 18", "18"),
        (r"So it is \boxed{18}.", "18"),
        ("First 5. The answer is 18 dollars.", "18"),
        ("That leaves 20 - 2 = 18", "18"),
        ("no number", None),
    ],
)
def test_reads_the_answer(response: str, extracted: str | None) -> None:
    grade = create().grade(response, Question(text="?", answer="18"))
    assert grade.extracted == extracted
    assert grade.correct is (extracted == "18")


def test_refuses_a_label_that_is_no_number() -> None:
    grade = create().grade("18", Question(text="?", answer="eighteen"))
    assert grade.correct is None
    assert "eighteen" in grade.reason


@given(st.integers(-(10**9), 10**9))
def test_an_integer_is_its_own_form_with_or_without_commas(number: int) -> None:
    assert normal_form(str(number)) == normal_form(f"{number:,}") == str(number)


@given(st.text())
def test_never_raises(response: str) -> None:
    create().grade(response, Question(text="?", answer="18"))
