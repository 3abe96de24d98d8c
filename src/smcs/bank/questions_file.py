"""Questions files: JSON Lines, plain or compressed with zstd."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from smcs.bank.grading import find_grader
from smcs.errors import QuestionError, UnknownNameError
from smcs.protocols import Grader
from smcs.registry import did_you_mean
from smcs.types import Question

OnError: TypeAlias = Literal["stop", "skip"]
Parse: TypeAlias = Callable[[bytes], tuple[Question, str]]
"""Reads one line: the question and its split. Raises `QuestionError`."""
SUFFIXES = (".jsonl", ".jsonl.zst")
KEYS = ("id", "question", "answer", "grader", "benchmark", "system", "options", "meta", "split")
_REQUIRED = ("id", "question", "grader")
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SourceQuestion:
    """A question as it came from a file or a benchmark.

    Attributes:
        split: ``validation``, ``test``, or the source's own word.
        where: file and line, for messages.
    """

    question: Question
    split: str
    where: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that cannot be used, and why."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"

    @property
    def place(self) -> tuple[str, int]:
        """Sorts problems by file and line."""
        file, _, line = self.where.rpartition(":")
        return (file, int(line)) if line.isdigit() else (self.where, 0)


def read_questions(path: Path, parse: Parse | None = None) -> tuple[list[SourceQuestion], list[Problem]]:
    """Read a questions file; each line is checked by itself.

    Args:
        parse: reads a line; by default as `parse_line` does.

    Returns:
        The questions in the file's order, and what is wrong with the other lines.

    Raises:
        QuestionError: the file cannot be read at all.
    """
    questions: list[SourceQuestion] = []
    problems: list[Problem] = []
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            question, split = parse(line) if parse else parse_line(line, default_benchmark=_stem(path))
        except QuestionError as error:
            problems.append(Problem(where, str(error)))
        else:
            questions.append(SourceQuestion(question, split, where))
    return questions, problems


def parse_line(line: bytes, default_benchmark: str = "custom") -> tuple[Question, str]:
    """One line of a questions file: the question and its split.

    Raises:
        QuestionError: what is wrong with it.
    """
    row = json_object(line)
    for key in row:
        if key not in KEYS:
            raise QuestionError(f"unknown key {key!r}{did_you_mean(key, list(KEYS))}")
    for key in _REQUIRED:
        if row.get(key) is None:
            raise QuestionError(f"{key!r} is missing")
    question = Question(
        text=_text(row, "question"),
        id=_scalar_text(row, "id") or "",
        answer=_scalar_text(row, "answer"),
        grader=_text(row, "grader"),
        benchmark=_text(row, "benchmark") if row.get("benchmark") is not None else default_benchmark,
        system=_system(row),
        options=_options(row),
        meta=_meta(row),
    )
    return question, _text(row, "split") if row.get("split") is not None else "validation"


def check_gradable(sources: list[SourceQuestion]) -> tuple[list[SourceQuestion], list[Problem]]:
    """Separate the questions whose grader exists and can read their label from the others."""
    graders: dict[str, Grader | str] = {}
    good: list[SourceQuestion] = []
    problems: list[Problem] = []
    for source in sources:
        name = source.question.grader
        if name not in graders:
            graders[name] = _grader_or_problem(name)
        grader = graders[name]
        problem = grader if isinstance(grader, str) else grader.check(source.question)
        if problem is None:
            good.append(source)
        else:
            problems.append(Problem(source.where, problem))
    return good, problems


def check_ids(
    sources: list[SourceQuestion], taken: dict[str, str] | None = None
) -> tuple[list[SourceQuestion], list[Problem]]:
    """Separate the questions whose id is theirs alone from later ones with the same id.

    Args:
        taken: ids that are taken already, with where.
    """
    first = dict(taken or {})
    good: list[SourceQuestion] = []
    problems: list[Problem] = []
    for source in sources:
        name = source.question.id
        if name in first:
            problems.append(Problem(source.where, f"the id {name!r} is taken already ({first[name]})"))
        else:
            first[name] = source.where
            good.append(source)
    return good, problems


def problems_error(problems: list[Problem]) -> QuestionError:
    """One error that names the problems, or the first of many."""
    listed = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
    more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    lines = "1 line" if len(problems) == 1 else f"{len(problems)} lines"
    return QuestionError(
        f"{lines} cannot be used, so nothing was written (leave them out with --on-error skip):\n{listed}{more}"
    )


def _grader_or_problem(name: str) -> Grader | str:
    try:
        return find_grader(name)
    except UnknownNameError as error:
        return str(error)


def json_object(line: bytes) -> dict[str, Any]:
    """A line of JSON Lines.

    Raises:
        QuestionError: what is wrong with it.
    """
    try:
        row = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_keys)
    except UnicodeDecodeError as error:
        raise QuestionError(f"not UTF-8 at byte {error.start + 1} of the line") from None
    except json.JSONDecodeError as error:
        raise QuestionError(f"not JSON: {error.msg} at character {error.colno}") from None
    except RecursionError:
        raise QuestionError("not JSON that can be read: nested too deeply") from None
    except ValueError as error:
        raise QuestionError(f"not JSON that can be read: {error}") from None
    if not isinstance(row, dict):
        raise QuestionError(f"a JSON {_json_type(row)}, not an object with {', '.join(_REQUIRED)}")
    return row


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise QuestionError(f"the key {twice!r} occurs twice")
    return row


def _text(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise QuestionError(f"{key!r} is a {_json_type(value)}, not a text")
    if not value.strip():
        raise QuestionError(f"{key!r} is empty")
    return _storable(value, key)


def _system(row: dict[str, Any]) -> str | None:
    """A system prompt; the empty one means that there is none, not even the usual one."""
    return row.get("system") if row.get("system") in (None, "") else _text(row, "system")


def _scalar_text(row: dict[str, Any], key: str) -> str | None:
    """A text, or a number as the text that it is written as."""
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    return _text(row, key)


def _options(row: dict[str, Any]) -> tuple[str, ...] | None:
    value = row.get("options")
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(o, str) and o.strip() for o in value):
        raise QuestionError("'options' must be a list of texts, none of them empty")
    return tuple(_storable(option, "options") for option in value)


def _meta(row: dict[str, Any]) -> dict[str, Any]:
    value = row.get("meta")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise QuestionError(f"'meta' is a {_json_type(value)}, not an object")
    _storable(json.dumps(value, ensure_ascii=False), "meta")
    return value


def _storable(text: str, key: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise QuestionError(f"{key!r} holds half of a surrogate pair, which is no character") from None
    if "\0" in text:
        raise QuestionError(f"{key!r} holds a NUL character")
    return text


def _json_type(value: Any) -> str:
    names = {bool: "true or false", str: "text", list: "list", dict: "object", type(None): "null"}
    return names.get(type(value), "number")


def _stem(path: Path) -> str:
    for suffix in reversed(SUFFIXES):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix) or "custom"
    return path.stem


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. Split at line feeds alone: texts hold other separators."""
    try:
        with path.open("rb") as file:
            stream = _decompressed(file, path) if path.name.endswith(".zst") else file
            for number, line in enumerate(stream, 1):
                content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if content.strip():
                    yield number, content
    except FileNotFoundError:
        raise QuestionError(f"there is no questions file {path}") from None
    except IsADirectoryError:
        raise QuestionError(f"{path} is a folder, not a questions file") from None
    except OSError as error:
        raise QuestionError(f"cannot read the questions file {path}: {error.strerror or error}") from None


def _decompressed(file: BinaryIO, path: Path) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415  # needed for compressed files only

    try:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        yield from io.BufferedReader(reader)
    except zstandard.ZstdError as error:
        raise QuestionError(f"{path} is not a zstd file, or a damaged one: {error}") from None
