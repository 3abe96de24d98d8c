"""Comparing what was printed, and what programs take for granted."""

from __future__ import annotations

import ast

import pytest

from smcs.graders._code.output import same_output
from smcs.graders._code.prelude import missing_imports, with_prelude


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("YES\n", "YES"),
        ("  YES  \n\n", "YES\n"),
        ("1 2\n3 \n", "1 2\n3"),
        ("1  2", "1 2"),
        ("0.50", "0.5"),
        ("1e3 2", "1000 2.0"),
        ("", "\n"),
        ("a\r\nb\r\n", "a\nb"),
    ],
)
def test_same(printed: str, expected: str) -> None:
    assert same_output(printed, expected)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("yes", "YES"),
        ("1\n2", "1 2"),
        ("1\n\n2", "1\n2"),
        ("a  b", "a b"),
        ("0.3333333", "0.3333334"),
        ("1 2", "1 2 3"),
        ("", "0"),
        ("nan", "nan x"),
        ("x 1.0", "x 1"),
        ("sNaN", "1"),
        ("1e999999999999", "1"),
    ],
)
def test_different(printed: str, expected: str) -> None:
    assert not same_output(printed, expected)


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("def f(x: List[int]) -> Optional[int]: return x", ["from typing import List", "from typing import Optional"]),
        (
            "print(deque([1]), math.pi, sqrt(2))",
            ["from collections import deque", "import math", "from math import sqrt"],
        ),
        ("from math import *\nprint(sqrt(2))", []),
        ("import math\nprint(math.pi)", []),
        ("def gcd(a, b): return a\nprint(gcd(1, 2))", []),
        ("print(pow(2, 3), sum([1]), unknown)", []),
        ("for i in range(3):\n    heappush([], i)", ["from heapq import heappush"]),
        ("print(inf, datetime.now())", ["import datetime", "from math import inf"]),
    ],
)
def test_only_what_is_missing_is_imported(source: str, imports: list[str]) -> None:
    assert missing_imports(ast.parse(source)) == imports


def test_prelude_leaves_the_rest_as_it_is() -> None:
    source = '"""Doc."""\nfrom __future__ import annotations\nprint(sqrt(4))'
    text = with_prelude(source)
    said: list[object] = []
    compile(text, "program", "exec")
    exec(text.replace("sys.setrecursionlimit(50000)", "pass"), {"print": said.append})
    assert said == [2.0]
    assert with_prelude("def broken(") == "def broken("
