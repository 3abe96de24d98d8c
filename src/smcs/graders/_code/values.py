"""What the code inside the sandbox wrote, back as values.

It comes from a process that the tested program controls, so everything is read with suspicion: nothing is executed,
and sizes that would take long are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeAlias

_MOST_HASHED = 5_000
"""Members of sets and dicts in one value: hashes that collide on purpose take quadratic time."""
_MOST_DIGITS = 10_000
"""Of a fraction or decimal: reducing and comparing long ones takes quadratic time."""

Kind: TypeAlias = Literal["value", "error", "passed"]


class UnreadableError(Exception):
    """This is not what our code inside writes."""


@dataclass(frozen=True, slots=True)
class Other:
    """Stands for a value that cannot be taken out of the process that made it. It equals nothing.

    Attributes:
        type_name: of that value.
        true: whether it counts as true.
    """

    type_name: str
    true: bool = True

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"


@dataclass(frozen=True, slots=True)
class Answer:
    """One line: a value, an error's text, or the token of a test that passed."""

    kind: Kind
    content: Any


def read_answers(text: str, most: int = 1) -> list[Answer]:
    """The lines that can be read, up to the first that cannot, and no more than this many."""
    found: list[Answer] = []
    for line in text.split("\n", most)[:most]:
        try:
            kind, content = json.loads(line)
            if kind not in ("value", "error", "passed"):
                break
            found.append(Answer(kind, _Decoder().decode(content)))
        except (ValueError, TypeError, ArithmeticError, RecursionError, UnreadableError):
            break
    return found


class _Decoder:
    def __init__(self) -> None:
        self._hashed = 0

    def decode(self, data: Any) -> Any:
        if data is None or isinstance(data, bool):
            return data
        tag, *parts = data
        match tag:
            case "list":
                return [self.decode(part) for part in parts]
            case "tuple":
                return tuple(self.decode(part) for part in parts)
            case "set" | "frozenset":
                self._count(parts)
                return (set if tag == "set" else frozenset)(self.decode(part) for part in parts)
            case "dict":
                self._count(parts)
                return {self.decode(key): self.decode(value) for key, value in parts}
        return _scalar(tag, parts)

    def _count(self, parts: list[Any]) -> None:
        self._hashed += len(parts)
        if self._hashed > _MOST_HASHED:
            raise UnreadableError


def _scalar(tag: str, parts: list[str]) -> Any:
    read = _SCALARS.get(tag)
    if read is None or (tag in ("decimal", "fraction") and sum(map(len, parts)) > _MOST_DIGITS):
        raise UnreadableError
    return read(*parts)


_SCALARS: Mapping[str, Callable[..., Any]] = {
    "int": lambda digits: int(digits, 16),
    "float": float,
    "complex": lambda real, imaginary: complex(float(real), float(imaginary)),
    "str": lambda digits: bytes.fromhex(digits).decode("utf-8", "surrogatepass"),
    "bytes": bytes.fromhex,
    "decimal": Decimal,
    "fraction": lambda numerator, denominator: Fraction(int(numerator, 16), int(denominator, 16)),
    "other": lambda digits, true: Other(bytes.fromhex(digits).decode("utf-8", "replace"), bool(true)),
}


def contains_other(value: Any) -> bool:
    """Whether some part of the value could not be taken out."""
    match value:
        case Other():
            return True
        case dict():
            return any(map(contains_other, value.values())) or any(map(contains_other, value))
        case list() | tuple() | set() | frozenset():
            return any(map(contains_other, value))
    return False


def as_source(value: Any) -> str:
    """Python source of the value. Names it may use: ``Decimal``, ``Fraction``, ``Other``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_source(key)}: {as_source(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"{type(value).__name__}([{', '.join(map(as_source, value))}])"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)  # decimal digits of a long number take quadratic time
    if isinstance(value, float):
        return f"float({str(value)!r})"
    if isinstance(value, complex | Fraction):
        parts = (value.real, value.imag) if isinstance(value, complex) else (value.numerator, value.denominator)
        return f"{type(value).__name__}({', '.join(map(as_source, parts))})"
    return f"Other({value.true})" if isinstance(value, Other) else repr(value)


def shown(value: Any) -> str:
    """The value for a person, cut short."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = "a value that is too large to show"
    return text if len(text) <= 80 else f"{text[:77]}..."
