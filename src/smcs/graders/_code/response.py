"""The program in a response."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+.#-]*)[^\n]*$")
_PYTHON = ("python", "py", "python3", "py3")
_FIRST_LINE = re.compile(r"(def|class|import|from|async def|@\w+)\b.*")
_LONGEST_PARSED = 200_000


def find_program(response: str, names: Collection[str] = ()) -> str | None:
    """The program that a response offers, or None where it offers none.

    The last fenced block that is marked as Python and can be parsed; else the last unmarked one that can; else the last
    block marked as Python as it stands. Where names are given, the last such block that defines one of them goes before
    all others (an example of use often follows the program). A last block that is not closed, because the response
    was cut off, counts too. Without any block: the response itself, or the longest run of lines in it, that is Python.

    Args:
        response: the LLM's text.
        names: functions or classes, of which the program must define at least one.
    """
    blocks = _blocks(response.rpartition("</think>")[2])
    for marks in (_PYTHON, ("",)):
        whole = [text for mark, text in reversed(blocks) if mark in marks and parse(text) is not None]
        defining = [text for text in whole if names and defined_names(text) & set(names)]
        if defining or whole:
            return (defining or whole)[0]
    broken = [text for mark, text in reversed(blocks) if mark in _PYTHON]
    if broken:
        return broken[0]
    return None if blocks else _bare(response)


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None where it is no Python. What the parser warns of is the program's business."""
    if len(text) > _LONGEST_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def defined_names(text: str) -> set[str]:
    """Names that the program binds at its top level: functions, classes, variables, imports."""
    tree = parse(text)
    found: set[str] = set()
    for statement in tree.body if tree else ():
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
            case ast.Assign() | ast.AnnAssign():
                found |= {node.id for node in ast.walk(statement)
                          if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
    return found


def _blocks(text: str) -> list[tuple[str, str]]:
    """Fenced blocks: mark in lower case, and text."""
    found: list[tuple[str, str]] = []
    fence = mark = ""
    lines: list[str] = []
    for line in text.split("\n"):
        match = _FENCE.match(line.rstrip("\r"))
        if not match or (fence and (match[2] or not match[1].startswith(fence))):
            lines.append(line)
        elif fence:
            found.append((mark, "\n".join(lines)))
            fence = ""
        else:
            fence, mark, lines = match[1], match[2].lower(), []
    if fence:
        found.append((mark, "\n".join(lines)))
    return found


def _bare(text: str) -> str | None:
    """Python that stands in the text without a fence."""
    if not text.strip():
        return None
    lines = text.replace("\r\n", "\n").split("\n")
    starts = [number for number, line in enumerate(lines) if _FIRST_LINE.match(line)]
    if not starts:
        # A single word or sentence can be Python by chance; a program that does something has a call or assignment.
        tree = parse(text)
        acts = tree and any(isinstance(node, ast.Call | ast.Assign) for node in ast.walk(tree))
        return text if acts else None
    if parse(text) is not None:
        return text
    start = starts[0]
    for end in _ends(lines, start):
        piece = "\n".join(lines[start:end])
        if parse(piece) is not None:
            return piece
    return None


def _ends(lines: list[str], start: int) -> list[int]:
    """Where a program can end: before a line that is neither indented nor empty, the latest first."""
    inside = range(start + 1, len(lines))
    ends = [number for number in inside if lines[number].strip() and not lines[number][0].isspace()]
    return [len(lines), *reversed(ends)][:200]
