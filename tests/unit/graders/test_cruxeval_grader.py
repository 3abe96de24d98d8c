"""CRUXEval: Python literals compared by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.graders.cruxeval import create, normal_form
from smcs.types import Question

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def json_answer(value: str) -> str:
    return f'{{"reasoning": "...", "answer": {value}}}'


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("['a']", json_answer('"[\\"a\\"]"')),
        ("['a']", json_answer('["a"]')),
        ("{'a': 1, 'b': 2}", json_answer("\"{'b': 2, 'a': 1}\"")),
        ("'abc'", json_answer('"abc"')),
        ("'abc'", json_answer("\"'abc'\"")),
        ("'372359'", json_answer('"372359"')),
        ("'6,8,8'", json_answer('"6,8,8"')),
        ("' '", json_answer('" "')),
        ("'a\\nb'", json_answer('"a\\\\nb"')),
        ("{'a': [1]}", json_answer("\"'{'a': [1]}'\"")),
        ("-22", "Step by step ... The final answer is: $\\boxed{-22}$"),
        ("[1, 2]", "[ANSWER]assert f([2, 1]) == [1, 2][/ANSWER]"),
        ("[1, 2]", "So:\nassert f([2, 1]) == [1, 2]"),
        ("'x'", "The answer is 'x'"),
        ("(1,)", "The result:\n```python\n(1,)\n```"),
        ("True", "The answer is `True`."),
    ],
)
def test_same_value(gold: str, response: str) -> None:
    assert create().grade(response, Question(text="?", answer=gold)).correct is True


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("'CW'", json_answer("\"' CW'\"")),
        ("372359", json_answer("\"'372359'\"")),
        ("[1, 2]", json_answer('"[2, 1]"')),
        ("(1, 2)", json_answer('"[1, 2]"')),
        ("True", json_answer('"False"')),
        ("'abc'", json_answer('"abd"')),
        ("'a'", "I cannot tell"),
    ],
)
def test_other_value(gold: str, response: str) -> None:
    assert create().grade(response, Question(text="?", answer=gold)).correct is False


def test_refuses_a_missing_label() -> None:
    assert create().grade("1", Question(text="?")).correct is None


@given(LITERALS)
def test_a_literal_equals_itself_and_has_one_form(value: object) -> None:
    question = Question(text="?", answer=repr(value))
    assert create().grade(f"[ANSWER]{value!r}[/ANSWER]", question).correct is True or "[/" in repr(value)
    assert normal_form(normal_form(repr(value))) == normal_form(repr(value))


@given(st.text() | st.text(st.sampled_from("'\"[](){}:,\\answer 1=")))
def test_never_raises(response: str) -> None:
    create().grade(response, Question(text="?", answer="'a'"))
    create().grade(json_answer(response), Question(text="?", answer="'a'"))


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, "-" * 5000 + "1", "1+1j", "{[]: 1}", "\x00"])
def test_hostile_literals(text: str) -> None:
    create().grade(json_answer(f'"{text}"'), Question(text="?", answer="1"))
    normal_form(text)
