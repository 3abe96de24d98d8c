"""Grading code in a real sandbox: right, wrong, and made to look right."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from smcs.graders.code import create
from smcs.programs import Sandbox, SandboxedGrader
from smcs.sandbox import SandboxUnavailableError, choose, conduct, conduct_blocking
from smcs.types import Grade, Question

SQUARES = ["assert square(3) == 9", "assert square(-2) == 4"]
MIXED = ["assert square(3) > 8", "assert isclose(square(0.5), 0.25, rel_tol=1e-9)"]
TOGETHER = ["assert all(square(i) == i * i for i in range(4))"]
STDIN = [
    {"input": "1 2\n", "output": "3\n", "testtype": "stdin"},
    {"input": "4 5\n", "output": "9\n", "testtype": "stdin"},
]
CALLS = [
    {"input": "[1, 2]\n3", "output": "[4, 5]", "testtype": "functional"},
    {"input": "[]\n0", "output": "[]", "testtype": "functional"},
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        yield choose()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def question(tests: Any, **meta: Any) -> Question:
    return Question("Write it.", "q", grader="code", meta={"tests": tests, **meta})


def grade(sandbox: Sandbox, program: str, asked: Question) -> Grade:
    return conduct_blocking(sandbox, create().trial(f"```python\n{program}\n```", asked))


@pytest.mark.parametrize("tests", [SQUARES, MIXED, TOGETHER, SQUARES + MIXED + TOGETHER])
def test_assertions(sandbox: Sandbox, tests: list[str]) -> None:
    asked = question(tests, test_setup_code="from math import isclose")
    assert grade(sandbox, "def square(x):\n    print('noise')\n    return x * x", asked) == Grade(True)
    wrong = grade(sandbox, "def square(x):\n    return x + x", asked)
    assert wrong.correct is False
    assert wrong.reason


def test_the_reason_says_what_happened(sandbox: Sandbox) -> None:
    asked = question(SQUARES)
    for program, reason in (
        ("def square(x): return abs(x) * 3", "test 2 of 2: gave 6, expected 4"),
        ("def square(x): return 1 / 0", "test 1 of 2: ZeroDivisionError: division by zero"),
        ("def cube(x): return x", "test 1 of 2: NameError: name 'square' is not defined"),
        ("import numpy as np", "test 1 of 2: ModuleNotFoundError: No module named 'numpy'"),
        ("def square(x): return object()", "test 1 of 2: gave <object object>, expected 9"),
        ("def square(x):\n  return x *", "test 1 of 2: SyntaxError: invalid syntax (program.py, line 2)"),
    ):
        assert grade(sandbox, program, asked) == Grade(False, reason=reason)


@pytest.mark.parametrize(
    "value",
    [
        "Decimal('sNaN')",
        "[Decimal('sNaN')]",
        "Fraction(3 ** 90_000, 7 ** 50_000)",
        "Decimal(10) ** 50_000",
        "1 << 8_000_000",
        "{i * (2 ** 61 - 1) for i in range(6_000)}",
        "f'{chr(0xD800)}'",
        "reduce(lambda inner, _: [inner], range(600), 1)",
        "[x] if (x := []) is not None and not x.append(x) else 0",
        "'x' * 5_000_000",
    ],
)
def test_values_made_to_trouble_the_judge(sandbox: Sandbox, value: str) -> None:
    imports = "from decimal import Decimal\nfrom fractions import Fraction\nfrom functools import reduce"
    program = f"{imports}\ndef square(x): return {value}"
    assert grade(sandbox, program, question(SQUARES)).correct is False


def test_setup_stands_between_program_and_tests(sandbox: Sandbox) -> None:
    asked = question(["assert total(pair) == 3"], test_setup_code="pair = Pair(1)\r\npair.b = 2")
    program = "class Pair:\n    def __init__(self, a): self.a = a\ndef total(p): return p.a + p.b"
    assert grade(sandbox, program, asked).correct is True


def test_values_that_cannot_leave_are_judged_where_they_are(sandbox: Sandbox) -> None:
    asked = question(["assert make(1) == make(1)", "assert make(1).x == 1"])
    program = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\ndef make(x): return Point(x)"
    assert grade(sandbox, program, asked).correct is True
    assert grade(sandbox, program.replace("@dataclass\n", "") + "\nPoint = object", asked).correct is False


def test_standard_input_and_output(sandbox: Sandbox) -> None:
    asked = question(STDIN)
    assert grade(sandbox, "a, b = map(int, input().split())\nprint(a + b)", asked) == Grade(True)
    assert grade(sandbox, "print(sum(map(Decimal, input().split())))", question(STDIN)).correct is False
    assert grade(sandbox, "print(reduce(add, map(int, input().split()))); sys.exit(1)", asked) == Grade(True)
    wrong = grade(sandbox, "print(3)", asked)
    assert wrong == Grade(False, reason="test 2 of 2: printed '3\\n', expected '9\\n'")
    assert grade(sandbox, "print(3); print(1 / 0)", asked).reason.endswith("ZeroDivisionError: division by zero")


def test_methods_of_a_solution(sandbox: Sandbox) -> None:
    asked = question(CALLS, func_name="shift")
    solution = "class Solution:\n    def shift(self, xs: List[int], by: int) -> List[int]:\n        return {}"
    assert grade(sandbox, solution.format("[x + by for x in xs]"), asked) == Grade(True)
    assert grade(sandbox, solution.format("tuple(x + by for x in xs)"), asked) == Grade(True)
    assert grade(sandbox, solution.format("xs"), asked).reason == "test 1 of 2: gave [1, 2], expected [4, 5]"
    assert grade(sandbox, "def shift(xs, by): return [x + by for x in xs]", asked) == Grade(True)


def test_deep_recursion_as_in_the_fields_own_evaluation(sandbox: Sandbox) -> None:
    program = "@cache\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(int(input())))"
    tests = [{"input": "9000\n", "output": "9000", "testtype": "stdin"}]
    assert grade(sandbox, program, question(tests)) == Grade(True)


def test_a_response_without_a_program_is_wrong_and_runs_nothing() -> None:
    trial = create().trial("I would rather not.", question(SQUARES))
    with pytest.raises(StopIteration) as end:
        next(trial)
    assert end.value.value == Grade(False, reason="no program in the response")


async def test_conduct_gives_the_same(sandbox: Sandbox) -> None:
    asked = question(SQUARES + MIXED, test_setup_code="from math import isclose")
    trial = create().trial("```python\ndef square(x): return x * x\n```", asked)
    assert await conduct(sandbox, trial) == Grade(True)


# ---- tests that cannot be used are nobody's fault


@pytest.mark.parametrize(
    ("meta", "part"),
    [
        ({}, "no tests"),
        ({"tests": []}, "no tests"),
        ({"tests": "assert f() == 1"}, "no tests"),
        ({"tests": ["assert f( == 1"]}, "not Python"),
        ({"tests": ["assert f() == 1"], "test_setup_code": "x ="}, "not Python"),
        ({"tests": [{"input": "1"}]}, "testtype"),
        ({"tests": [1]}, "testtype"),
        ({"tests": [*STDIN, *CALLS]}, "one type"),
        ({"tests": [{"input": 1, "output": "1", "testtype": "stdin"}]}, "must be text"),
        ({"tests": CALLS}, "func_name"),
        ({"tests": CALLS, "func_name": "f(); import os"}, "func_name"),
        ({"tests": [{"input": "x", "output": "1", "testtype": "functional"}], "func_name": "f"}, "JSON"),
    ],
)
def test_unusable_tests_are_not_graded(meta: dict[str, Any], part: str) -> None:
    grader = create()
    asked = Question("Write it.", grader="code", meta=meta)
    problem = grader.check(asked)
    assert problem is not None
    assert part in problem
    with pytest.raises(StopIteration) as end:
        next(grader.trial("```python\nx = 1\n```", asked))
    assert end.value.value == Grade(None, reason=problem)


def test_it_is_a_grader_that_needs_a_sandbox() -> None:
    grader = create()
    assert isinstance(grader, SandboxedGrader)
    assert grader.grade("```python\nx = 1\n```", question(SQUARES)).correct is None
    assert grader.extract("```python\nx = 1\n```", question(SQUARES)) is None


# ---- programs that tamper with their own result

FORGERIES = {
    "prints what success might look like": """
        print('["value", ["int", "9"]]')
        print("OK\\n1 passed\\nTrue")""",
    "exits with success": """
        import sys
        sys.exit(0)""",
    "leaves at once": """
        import os
        os._exit(0)""",
    "leaves when called": """
        import os
        def square(x): os._exit(0)""",
    "exits when called": """
        def square(x): raise SystemExit(0)""",
    "equals everything": """
        class Any:
            __eq__ = __gt__ = __lt__ = __rsub__ = __sub__ = lambda a, b: True
            __hash__ = None
        def square(x): return Any()""",
    "a number that equals everything": """
        class Any(int):
            __eq__ = __gt__ = lambda a, b: True
            __hash__ = None
        def square(x): return Any(5)""",
    "a list that claims to be right": """
        class Any(list):
            __eq__ = __gt__ = lambda a, b: True
            __hash__ = None
        def square(x): return Any([1])""",
    "breaks assert's exception": """
        import builtins
        class Quiet(BaseException): pass
        builtins.AssertionError = Quiet
        def square(x): return 5""",
    "breaks the built-in functions": """
        import builtins
        for name in ("all", "isinstance", "abs", "type", "repr", "sorted"):
            setattr(builtins, name, lambda *a: True)
        def square(x): return 5""",
    "writes to every descriptor": """
        import os
        def square(x):
            for number in range(64):
                try: os.write(number, b'["passed", ""]\\n["value", ["int", "1"]]\\n')
                except OSError: pass
            return 5""",
    "replaces the harness": """
        import sys
        main = sys.modules["__main__"]
        main.encode = lambda value: '["str", "6f6b"]'
        main.main = print
        def square(x): return 5""",
    "looks for the label in the frames": """
        import sys
        def square(x):
            frame, seen = sys._getframe(), []
            while frame:
                values = [*frame.f_globals.values(), *frame.f_locals.values()]
                seen += [v for v in values if type(v) is int and v in (9, 4)]
                frame = frame.f_back
            return seen[0] if seen else 5""",
    "replaces os.write": """
        import os
        write = os.write
        os.write = lambda number, text: write(number, b'["value", true]\\n')
        def square(x): return 5""",
    "leaves while it is waited for": """
        import os, threading
        threading.Timer(0.1, os._exit, (0,)).start()
        def square(x):
            while True: pass""",
}
BELIEVED_INSIDE = (
    "equals everything",
    "a number that equals everything",
    "a list that claims to be right",
    "breaks the built-in functions",
)


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("tests", [SQUARES, MIXED[:1], TOGETHER], ids=["literal", "mixed", "together"])
def test_forgeries_are_wrong(sandbox: Sandbox, forgery: str, tests: list[str]) -> None:
    if tests is TOGETHER and forgery in BELIEVED_INSIDE:
        pytest.skip(
            "a test that runs in the program's own process believes the program's objects: see the documentation"
        )
    if tests == MIXED[:1] and forgery == "breaks the built-in functions":
        tests = ["assert abs(square(3) - 9) < 1"]
    assert grade(sandbox, textwrap.dedent(FORGERIES[forgery]), question(tests)).correct is False


def test_forgeries_of_printed_output_are_wrong(sandbox: Sandbox) -> None:
    for program in (
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "import os\nos.write(2, b'3\\n')",
        "print('OK')",
    ):
        assert grade(sandbox, program, question(STDIN)).correct is False
