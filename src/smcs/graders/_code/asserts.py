"""Taking a test apart, so that as much of it as can be is judged where the tested program has no say.

* ``assert f(x) == 3``: the program is asked for ``f(x)``; 3 and the comparison stay outside.
* ``assert sorted(f(x)) < y``: the program is asked for ``f(x)``; the rest runs in a process without the program.
* Anything else runs in the program's own process, which can forge the result if it is made to.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from smcs.graders._code.response import parse

_BUILTINS = frozenset(dir(builtins))
_PLACE = "_value_{}"
_JUDGE = """
from decimal import Decimal
from fractions import Fraction
class Other:
    def __init__(self, true): self.true = true
    def __bool__(self): return self.true
"""


@dataclass(frozen=True, slots=True)
class Test:
    """One test, taken apart.

    Attributes:
        text: as it was given.
        expressions: what the program is asked for; none where the test cannot be taken apart.
        expected: what the only expression must equal; where `rest` is None.
        rest: an expression over the values ``_value_0``, ``_value_1``, … that must be true.
        imports: statements that `rest` needs: of the standard library only.
    """

    __test__ = False  # not one of pytest's

    text: str
    expressions: tuple[str, ...] = ()
    expected: Any = None
    rest: str | None = None
    imports: tuple[str, ...] = ()


def take_apart(text: str, defined: Collection[str] = (), setup: str = "") -> Test:
    """Find what the program has to be asked for.

    Args:
        text: one or more statements.
        defined: names that the program defines, built-in ones among them.
        setup: what is executed between program and tests; what it imports is the test's own.
    """
    tree = parse(text)
    match tree.body if tree else []:
        case [ast.Assert(test=condition)]:
            return _equality(text, condition) or _mixture(text, condition, defined, setup) or Test(text)
    return Test(text)


def called_names(tests: Collection[str]) -> set[str]:
    """Names of functions and classes that the tests call and Python does not have."""
    found = set()
    for text in tests:
        for node in ast.walk(parse(text) or ast.Module([], [])):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name not in _BUILTINS:
                    found.add(name)
    return found


def _equality(text: str, condition: ast.expr) -> Test | None:
    match condition:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            for asked, label in ((left, right), (right, left)):
                try:
                    expected = ast.literal_eval(label)
                except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                    continue
                return Test(text, (ast.unparse(asked),), expected)
    return None


def _mixture(text: str, condition: ast.expr, defined: Collection[str], setup: str) -> Test | None:
    parts = _Parts(defined, condition, _imports(setup))
    try:
        rest = parts.visit(condition)
    except _InseparableError:
        return None
    imports = tuple(dict.fromkeys(parts.known[name] for name in sorted(parts.used)))
    return Test(text, tuple(parts.expressions), rest=ast.unparse(rest), imports=imports)


def _imports(setup: str) -> dict[str, str]:
    """Names that the setup imports from the standard library, and the statement that does."""
    found: dict[str, str] = {}
    for statement in (parse(setup) or ast.Module([], [])).body:
        match statement:
            case ast.Import(names=aliases):
                modules = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                modules = [module]
            case _:
                continue
        if all(module.partition(".")[0] in sys.stdlib_module_names for module in modules):
            names = [alias.asname or alias.name.partition(".")[0] for alias in aliases]
            found |= dict.fromkeys(names, ast.unparse(statement))
    return found


class _InseparableError(Exception):
    pass


class _Parts(ast.NodeTransformer):
    """Replaces what only the program can evaluate by places for its values."""

    def __init__(self, defined: Collection[str], condition: ast.expr, known: dict[str, str]) -> None:
        self.expressions: list[str] = []
        self.known = known
        self.used: set[str] = set()
        self._defined = defined
        self._bound = {node.id for node in ast.walk(condition)
                       if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}  # fmt: skip
        self._bound |= {node.arg for node in ast.walk(condition) if isinstance(node, ast.arg)}

    def visit(self, node: ast.AST) -> Any:
        """Replace a node, or look into it."""
        if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            raise _InseparableError
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call) and self._is_programs(node):
            if any(isinstance(inner, ast.Name) and inner.id in self._bound for inner in ast.walk(node)):
                raise _InseparableError
            self.expressions.append(ast.unparse(node))
            return ast.Name(_PLACE.format(len(self.expressions) - 1), ast.Load())
        return self.generic_visit(node)

    def _is_programs(self, node: ast.expr) -> bool:
        """Whether the expression starts from a name that is neither Python's nor the test's own."""
        module = False
        while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            module = isinstance(node, ast.Attribute)
            node = node.func if isinstance(node, ast.Call) else node.value
        if not isinstance(node, ast.Name) or node.id in self._bound:
            return False
        if module and node.id in sys.stdlib_module_names:
            self.known.setdefault(node.id, f"import {node.id}")
        if node.id in self.known:
            self.used.add(node.id)
            return False
        return node.id in self._defined or node.id not in _BUILTINS


def judging_program(tests: Collection[tuple[Test, Collection[str]]], token: str) -> str:
    """A program that says the token if the rest of every test is true.

    Args:
        tests: with the source of the values in their places.
        token: what it prints.
    """
    lines = [_JUDGE]
    for test, values in tests:
        lines += test.imports
        lines += [f"{_PLACE.format(number)} = {value}" for number, value in enumerate(values)]
        lines.append(f"assert {test.rest}")
    return "\n".join([*lines, f"print({token!r})"])
