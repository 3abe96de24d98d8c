"""The local format: one JSON object a line, plain or compressed with zstd.

Keys of every line: ``id`` (unique), ``benchmark``, ``split``, ``question`` (the full text as put to the LLM, options as
``A. ...`` lines), ``options`` (list of texts, or null), ``answer`` (the label, or null), ``meta`` (object). Lines end
with a line feed only: texts may hold other Unicode line separators.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smcs.errors import QuestionError

KEYS: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "benchmark": str,
    "split": str,
    "question": str,
    "options": (list, type(None)),
    "answer": (str, type(None)),
    "meta": dict,
}
_SUBFOLDERS = ("", "benchmarks", "recorded")
_ENDINGS = (".jsonl.zst", ".jsonl", "_questions.jsonl.zst", "_questions.jsonl")


def local_rows(folder: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a benchmark's file in a folder, checked.

    Args:
        folder: the folder with the file, or the one above its ``benchmarks`` and ``recorded`` folders.
        names: names of the benchmark; the first file of any of them is read.

    Raises:
        QuestionError: there is no such folder or file, or a line is not of the local format.
    """
    path = _find(folder, names)
    taken: set[str] = set()
    for number, line in enumerate(_read(path).split(b"\n"), 1):
        if not line.strip():
            continue
        row = local_row(line, f"{path}:{number}", names)
        if row["id"] in taken:
            raise QuestionError(f"{path}:{number}: the id {row['id']!r} stands on an earlier line too")
        taken.add(row["id"])
        yield row


def _find(folder: Path, names: Sequence[str]) -> Path:
    if not folder.is_dir():
        raise QuestionError(f"there is no folder {folder} to read benchmark {names[0]!r} from")
    for name in names:
        for subfolder in _SUBFOLDERS:
            for ending in _ENDINGS:
                path = folder / subfolder / (name + ending)
                if path.is_file():
                    return path
    raise QuestionError(
        f"{folder} has no file of benchmark {names[0]!r}: looked for "
        f"{' and '.join(f'{name}.jsonl.zst, {name}.jsonl' for name in names)}, there and in its folder benchmarks"
    )


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise QuestionError(f"cannot read {path}: {error.strerror or error}") from error
    if path.suffix != ".zst":
        return data
    import zstandard  # noqa: PLC0415 - only for compressed files

    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            content: bytes = reader.readall()
    except zstandard.ZstdError as error:
        raise QuestionError(f"{path} is damaged, or no zstd file: {error}") from error
    return content


def local_row(line: bytes, where: str, names: Sequence[str]) -> dict[str, Any]:
    """One line of the local format, checked.

    Args:
        where: what messages begin with.
        names: names of the benchmark.

    Raises:
        QuestionError: it is not of the format, or of another benchmark.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"{where}: not a line of JSON: {error}") from error
    if not isinstance(row, dict):
        raise QuestionError(f"{where}: {type(row).__name__} instead of an object")
    for key, kind in KEYS.items():
        if key not in row:
            raise QuestionError(
                f"{where}: not the local benchmark format: {key!r} is missing (needs {', '.join(KEYS)})"
            )
        if not isinstance(row[key], kind):
            raise QuestionError(f"{where}: not the local benchmark format: {key!r} is a {type(row[key]).__name__}")
    if row["benchmark"] not in names:
        raise QuestionError(f"{where}: a question of benchmark {row['benchmark']!r} instead of {names[0]!r}")
    return row
