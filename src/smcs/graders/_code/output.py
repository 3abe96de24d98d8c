"""Whether what a program printed is what was expected, by LiveCodeBench's own rule.

Both texts lose white space at their ends, then are compared line by line, each line without white space at its ends.
The number of lines must be equal. A line is right if it is the same text, or if all its words are decimal numbers and
each equals the expected one as an exact decimal: ``1.50`` is ``1.5``, and there is no tolerance. No tokens are moved
between lines, and inner white space counts where the words are not numbers.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def same_output(printed: str, expected: str) -> bool:
    """Whether the two texts are equal by the rule above."""
    left, right = _lines(printed), _lines(expected)
    return len(left) == len(right) and all(map(_same_line, left, right))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_line(printed: str, expected: str) -> bool:
    if printed == expected:
        return True
    try:
        return _decimals(printed) == _decimals(expected)
    except InvalidOperation:  # a word that is no number, or one ("sNaN") that refuses to be compared
        return False


def _decimals(line: str) -> list[Decimal]:
    return [Decimal(word) for word in line.split()]
