"""Taking tests apart."""

from __future__ import annotations

import pytest

from smcs.graders._code.asserts import called_names, judging_program, take_apart


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("assert f(1, [2]) == 3", "f(1, [2])", 3),
        ("assert 3 == f(1)", "f(1)", 3),
        ("assert f(1) == [1, (2, -3.5)], 'message'", "f(1)", [1, (2, -3.5)]),
        ("assert sorted(f(1)) == {'a': None}", "sorted(f(1))", {"a": None}),
        ("assert f(1) == set()", "f(1)", set()),
        ("assert (f(1) == True)", "f(1)", True),
        ("assert f('\\\\d') == 'x'", "f('\\\\d')", "x"),
    ],
)
def test_a_literal_stays_outside(text: str, asked: str, expected: object) -> None:
    test = take_apart(text)
    assert test.expressions == (asked,)
    assert test.expected == expected
    assert test.rest is None


@pytest.mark.parametrize(
    ("text", "asked", "rest"),
    [
        ("assert f(1)", ("f(1)",), "_value_0"),
        ("assert not f(1)", ("f(1)",), "not _value_0"),
        ("assert f(1) != 2", ("f(1)",), "_value_0 != 2"),
        ("assert f(1) is None", ("f(1)",), "_value_0 is None"),
        ("assert abs(f(1) - 2) < 1e-6", ("f(1)",), "abs(_value_0 - 2) < 1e-06"),
        ("assert f(1) == g(2)", ("f(1)", "g(2)"), "_value_0 == _value_1"),
        ("assert Solution().f(1) in (1, 2)", ("Solution().f(1)",), "_value_0 in (1, 2)"),
        ("assert all(x > 0 for x in f(3))", ("f(3)",), "all((x > 0 for x in _value_0))"),
        ("assert f(LIMIT)[0].x == 1 or flag", ("f(LIMIT)[0].x", "flag"), "_value_0 == 1 or _value_1"),
    ],
)
def test_the_rest_is_judged_apart(text: str, asked: tuple[str, ...], rest: str) -> None:
    test = take_apart(text)
    assert test.expressions == asked
    assert test.rest == rest


def test_modules_of_the_test_are_not_the_programs() -> None:
    test = take_apart("assert math.isclose(f(1), math.pi, rel_tol=0.001)")
    assert test.expressions == ("f(1)",)
    assert test.imports == ("import math",)


def test_what_the_setup_imports_is_the_tests_own() -> None:
    test = take_apart("assert isclose(f(1), m.pi)", setup="from math import isclose\nimport math as m\nimport numpy")
    assert test.expressions == ("f(1)",)
    assert test.imports == ("from math import isclose", "import math as m")
    assert take_apart("assert numpy.isclose(f(1), 2)", setup="import numpy").expressions == ("numpy.isclose(f(1), 2)",)


def test_a_function_may_be_called_like_something_of_python() -> None:
    assert take_apart("assert select([1]) > 2").expressions == ("select([1])",)
    assert take_apart("assert sum([1]) > 2", {"sum"}).expressions == ("sum([1])",)
    assert take_apart("assert sum([1]) > 2").rest == "sum([1]) > 2"


@pytest.mark.parametrize(
    "text",
    [
        "x = f(1)\nassert x == 1",
        "assert all(f(i) == i for i in range(3))",
        "assert (y := f(1)) > 0 and y < 3",
        "def check(c):\n    assert c(1) == 1\ncheck(f)",
        "assert list(map(lambda i: f(i), [1])) > [0]",
    ],
)
def test_what_cannot_be_taken_apart(text: str) -> None:
    assert take_apart(text).expressions == ()


def test_called_names() -> None:
    assert called_names(["assert f(g(1)) == len([1])", "assert Solution().h(1) == 2"]) == {"f", "g", "Solution"}


def test_judging_program() -> None:
    tests = [
        (take_apart("assert abs(f(1) - 2) < 1"), ["0x2"]),
        (take_apart("assert math.isfinite(g())"), ["float('1.0')"]),
    ]
    said: list[str] = []
    exec(judging_program(tests, "token"), {"print": said.append})
    assert said == ["token"]
    with pytest.raises(AssertionError):
        exec(judging_program([(tests[0][0], ["0x9"])], "token"), {})
