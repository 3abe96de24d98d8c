"""Runs inside the sandbox, before and around a program that is to be tested. Its text is part of what is run there.

It defines the program, evaluates calls of it, and writes each value to standard output. It holds nothing that would be
worth stealing: what the values should be is known outside only. The program's own prints go nowhere.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself takes longer to import than most programs run
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VIEWS = (type(dict[str, str]().keys()), type(dict[str, str]().items()))


def main(source: str, setup: str, expressions: list[str], test: str, token: str) -> None:
    """Define the program, then answer: one line for each expression, or the token if the test passes.

    Args:
        source: the program.
        setup: what stands between program and tests.
        expressions: what to evaluate; each gives a line ``["value", …]`` or ``["error", text]``.
        test: statements to execute instead; where none raises, the line is ``["passed", token]``.
        token: unknown to the program.
    """
    out = os.dup(1)
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)

    def say(kind: str, content: str) -> None:
        left = f'["{kind}", {content}]\n'.encode()
        while left:
            left = left[os.write(out, left) :]

    module = type(sys)("program")
    sys.modules["program"] = module
    names = module.__dict__
    try:
        for text, where in ((source, "program.py"), (setup, "setup.py"), (test, "test.py")):
            exec(compile(text, where, "exec", dont_inherit=True), names)  # noqa: S102
        if token:
            say("passed", encode(token))
        for expression in expressions:
            say("value", encode(eval(compile(expression, "test.py", "eval", dont_inherit=True), names)))  # noqa: S307
    except BaseException as error:  # noqa: BLE001  whatever the program does is its result
        say("error", encode(describe(error)))
    # The program may have left threads or exit handlers behind; they have nothing more to say.
    os._exit(0)


def describe(error: BaseException) -> str:
    """One line about an error, however badly its class behaves."""
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except BaseException:  # noqa: BLE001
        return "an error that cannot be shown"


def encode(value: Any) -> str:
    """A value as JSON: numbers and texts in a form that is exact, everything else tagged by its kind."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    for kind, tag in ((list, "list"), (tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if isinstance(value, kind):
            return group(tag, [encode(item) for item in value])
    if isinstance(value, dict):
        return group("dict", [f"[{encode(key)}, {encode(item)}]" for key, item in value.items()])
    if isinstance(value, VIEWS):
        return group("set", [encode(item) for item in value])
    return group(*scalar(value))


def group(tag: str, parts: list[str]) -> str:
    """A JSON list that begins with its tag."""
    return "[" + ", ".join([f'"{tag}"', *parts]) + "]"


def scalar(value: Any) -> tuple[str, list[str]]:
    """Tag and parts of a value that holds no others."""
    kinds: tuple[tuple[Any, str, Callable[[], list[str]]], ...] = (
        (int, "int", lambda: [f"{int(value):x}"]),
        (float, "float", lambda: [repr(float(value))]),
        (complex, "complex", lambda: [repr(value.real), repr(value.imag)]),
        (str, "str", lambda: [str(value).encode("utf-8", "surrogatepass").hex()]),
        ((bytes, bytearray), "bytes", lambda: [bytes(value).hex()]),
        (named("decimal", "Decimal"), "decimal", lambda: [str(value)]),
        (named("fractions", "Fraction"), "fraction", lambda: [f"{value.numerator:x}", f"{value.denominator:x}"]),
    )
    for kind, tag, parts in kinds:
        if isinstance(value, kind):
            return tag, [f'"{part}"' for part in parts()]
    return "other", [f'"{type(value).__qualname__.encode("utf-8", "replace").hex()}"', "true" if value else "false"]


def named(module: str, name: str) -> Any:
    """A class of the standard library, if the program has loaded its module."""
    return getattr(sys.modules.get(module), name, ())
