"""The imports that a program takes for granted.

LiveCodeBench's own evaluation puts star imports of these modules before every program (LeetCode's starter code uses
``List`` without importing it). Importing all of them costs more time than most programs run, so only what a program
uses and does not define is imported, with the same result.
"""

from __future__ import annotations

import ast
import builtins
import importlib
from functools import cache

from smcs.graders._code.response import parse

_MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
    *("itertools", "functools", "operator", "io", "sys", "json"),
)
RECURSION_LIMIT = 50_000
"""That evaluation's own."""


def with_prelude(source: str) -> str:
    """The program with what it lacks imported, and the recursion limit of LiveCodeBench's evaluation."""
    tree = parse(source)
    if tree is None:
        return source
    lines = [f"import sys; sys.setrecursionlimit({RECURSION_LIMIT})", *missing_imports(tree)]
    futures = [
        node.end_lineno or 0 for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    after = max(futures, default=0)
    text = source.split("\n")
    return "\n".join([*text[:after], *lines, *text[after:]])


def missing_imports(tree: ast.Module) -> list[str]:
    """Import statements for names that the program uses and nowhere binds."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    unknown = sorted(used - _bound(tree) - set(dir(builtins)))
    return [line for name in unknown if (line := _import(name))]


def _import(name: str) -> str | None:
    if name in _MODULES:
        return f"import {name}"
    module = _origins().get(name)
    return f"from {module} import {name}" if module else None


def _bound(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=aliases):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=module, names=aliases):
                found |= {alias.asname or alias.name for alias in aliases}
                if any(alias.name == "*" for alias in aliases):
                    found |= _public(module or "")
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
    return found


@cache
def _origins() -> dict[str, str]:
    """Name to module. Of two modules with the same name the later star import would win; ``typing`` comes last."""
    return {name: module for module in (*_MODULES, "typing") for name in _public(module)}


@cache
def _public(module: str) -> frozenset[str]:
    """What ``from module import *`` binds; nothing where it is not one of ours."""
    if module not in (*_MODULES, "typing"):
        return frozenset()
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", None) or [name for name in dir(loaded) if not name.startswith("_")]
    return frozenset(names)
