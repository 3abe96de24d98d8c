"""Values on their way out of the sandbox."""

from __future__ import annotations

import collections
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smcs.graders._code.inside import encode
from smcs.graders._code.values import Answer, Other, as_source, contains_other, read_answers

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**400)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False)
)
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
values = st.recursive(
    hashable,
    lambda inner: st.lists(inner) | st.sets(hashable, max_size=3) | st.dictionaries(hashable, inner, max_size=3),
    max_leaves=20,
)


def through(value: Any) -> Any:
    (answer,) = read_answers(f'["value", {encode(value)}]\n')
    return answer.content


@settings(max_examples=25, deadline=None)
@given(values)
def test_a_value_comes_out_as_it_went_in(value: Any) -> None:
    result = through(value)
    assert result == value
    assert type(result) is type(value)


@settings(max_examples=25, deadline=None)
@given(values)
def test_and_can_be_written_as_source(value: Any) -> None:
    assert eval(as_source(through(value)), {"Decimal": Decimal, "Fraction": Fraction}) == value


def test_nan_and_the_signs_of_zero() -> None:
    assert str(through(float("nan"))) == "nan"
    assert str(through([-0.0, float("-inf")])) == "[-0.0, -inf]"


class Point(NamedTuple):
    x: int


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1), (1,)),
        (Text("a"), "a"),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, {1: [2]}), {1: [2]}),
        ({1: 2}.keys(), {1}),
        ({1: 2}.items(), {(1, 2)}),
        (bytearray(b"x"), b"x"),
    ],
)
def test_kinds_that_equal_a_plain_value(value: Any, plain: Any) -> None:
    assert value == plain
    assert through(value) == plain


@pytest.mark.parametrize(
    "value", [object(), iter([]), range(3), {1: 2}.values(), collections.deque([1]), len, [1, range(2)]]
)
def test_what_cannot_be_taken_out_equals_nothing(value: Any) -> None:
    result = through(value)
    assert contains_other(result)
    assert result != through(value)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no json",
        "[]",
        '["value"]',
        '["value", 1]',
        '["value", "text"]',
        '["other kind", null]',
        '["value", ["int", "xyz"]]',
        '["value", ["unknown", "1"]]',
        '["value", ["set", ["list"]]]',
        '["value", ["dict", [null]]]',
        '["value", ["decimal", "words"]]',
        '["value", ["fraction", "1", "0"]]',
        '["value", ["str", "zz"]]',
        '["value", ["int"]]',
        '["value", {"a": 1}]',
        '["value", ' + "[" * 100_000,
        '["value", ["decimal", "' + "1" * 20_000 + '"]]',
        '["value", ["fraction", "' + "f" * 20_000 + '", "1"]]',
        '["value", ["set", ' + ", ".join(f'["int", "{i:x}"]' for i in range(6_000)) + "]]",
    ],
)
def test_what_our_code_would_not_write_is_not_read(line: str) -> None:
    assert read_answers(f'["value", null]\n{line}\n["value", null]\n', 3) == [Answer("value", None)]


def test_an_error_and_a_token_are_text() -> None:
    text = f'["error", {encode("ValueError: x")}]\n["passed", {encode("token")}]\n'
    assert read_answers(text, 9) == [Answer("error", "ValueError: x"), Answer("passed", "token")]
    assert read_answers(text, 1) == [Answer("error", "ValueError: x")]
    assert json.loads(encode("ä")) == ["str", "c3a4"]
    assert repr(Other("Node")) == "<Node object>"
