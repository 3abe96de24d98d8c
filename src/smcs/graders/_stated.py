r"""What a response states as its answer, in its own words; what `exact`, `numeric` and `choice` read from.

A statement is a ``\boxed{...}``, a line after ``####``, or what follows "the answer is", "Answer:" and the like. Where
a response states several, the last counts: LLMs revise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?P<said>\S.*)$", re.MULTILINE)
_ANSWER = re.compile(
    r"""
    (?<!\bwrong\s)(?<!\bincorrect\s)(?<!\bwhose\s)(?<!\bno\s)
    \b(?:answers?(?:[ ]choice|[ ]option|[ ]letter)?|(?:choice|option)(?=[ ]is\b))
    (?:\s+(?:to|for|of|in|here)\b[^.:=\n]{0,120}?)?          # "to the question"
    [*_`"'\u2019)\]]*\s*
    (?::|=|\bis\b|\bare\b|\bwas\b|\b(?:would|should|will|must|can[ ]only)[ ]be\b)
    (?:[ ](?:therefore|thus|then|hence|simply|indeed|clearly|definitely|probably|likely|still)(?=[ :]\s*\S))?
    (?:[ ](?:given[ ]by|as[ ]follows))?
    [ \t]*[:=]?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NEXT_QUESTION = re.compile(
    r"^[#*\s]*(?:Question|Q|User|Human|Problem|Exercise)\b[ \d*]*:|^\(?A[.)] [^\n]*\n+\(?B[.)] ", re.MULTILINE
)
_DECORATION = " \t*_`:"


@dataclass(frozen=True, slots=True)
class Statement:
    """An answer as a response states it.

    Attributes:
        start: where in the response it begins.
        text: what is stated: the rest of the line, or what is in the box.
        boxed: whether it stands in a box: then all of it is the answer.
    """

    start: int
    text: str
    boxed: bool = False


def to_the_point(response: str) -> str:
    """The response up to where the LLM, having answered, goes on with a question of its own."""
    for match in _NEXT_QUESTION.finditer(response):
        if statements(response[: match.start()]):
            return response[: match.start()]
    return response


def statements(response: str) -> list[Statement]:
    """All statements in the order in which they stand."""
    found = [*_boxes(response), *_marked(response)]
    found.sort(key=lambda s: s.start)
    # A box within "the answer is ..." is that statement; the box says it more exactly.
    return [s for s in found if s.boxed or "\\boxed" not in s.text]


def last_line(response: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in response.strip().splitlines()]
    return next((line for line in reversed(lines) if line.strip("`*_-#=~ ")), "")


def balanced(text: str, start: int) -> str | None:
    """What stands between the brace that opens just before `start` and the one that closes it."""
    depth = 1
    for i in range(start, len(text)):
        if text[i] in "{}" and text[i - 1] != "\\":
            depth += 1 if text[i] == "{" else -1
            if depth == 0:
                return text[start:i]
    return None


def _boxes(response: str) -> Iterator[Statement]:
    for match in _BOX.finditer(response):
        content = balanced(response, match.end())
        if content is not None and content.strip():
            yield Statement(match.start(), content.strip(), boxed=True)


def _marked(response: str) -> Iterator[Statement]:
    for match in _HASHES.finditer(response):
        yield Statement(match.start(), match["said"].strip())
    for match in _ANSWER.finditer(response):
        said = _after(response, match.end())
        if said:
            yield Statement(match.start(), said)


def _after(response: str, end: int) -> str:
    """What is stated behind a marker: the rest of its line, or the next lines where that is empty."""
    rest, _, below = response[end:].partition("\n")
    said = rest.strip().lstrip(_DECORATION).strip()
    if said.strip("*_`\"'“”").strip():
        return said
    block = below.lstrip("\n \t")
    if block.startswith("```"):
        inside = block.partition("\n")[2]
        return inside.partition("```")[0].strip()
    return block.partition("\n")[0].strip().lstrip(_DECORATION).strip()
