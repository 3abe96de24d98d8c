"""Recorded answers of LLMs, found by the question's text. Read once for all LLMs of a pool that name the same files."""

from __future__ import annotations

import io
import json
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.errors import ConfigError
from smcs.llms._answer_key import AnswerKey, KnownAnswer, squeeze
from smcs.registry import did_you_mean

_REQUIRED = ("question_id", "llm", "response")
_OPTIONAL = ("completion_tokens", "reasoning", "finish_reason")
_NONE = -1
_open: weakref.WeakValueDictionary[tuple[Path, ...], Recording] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What an LLM answered."""

    text: str
    reasoning: str | None
    finish_reason: str
    tokens: int


def recording(questions: Sequence[Path], responses: Sequence[Path]) -> Recording:
    """The recording in these files. Nothing is read yet; as long as somebody holds it, it is the same for all."""
    key = (*(path.absolute() for path in questions), Path(), *(path.absolute() for path in responses))
    found = _open.get(key)
    if found is None:
        _open[key] = found = Recording(questions, responses)
    return found


class Recording:
    """Questions, and what LLMs answered to them.

    Args:
        questions: JSON Lines (plain or zstd) with ``id`` and ``question``.
        responses: Parquet tables with ``question_id``, ``llm`` and ``response``.
    """

    def __init__(self, questions: Sequence[Path], responses: Sequence[Path]) -> None:
        self._question_files = tuple(questions)
        self._response_files = tuple(responses)
        self._lock = threading.Lock()
        self._loaded = False
        self._places: dict[str, list[int]] = {}
        self._rows: dict[str, NDArray[np.int32]] = {}
        self._table: Any = None
        self._key: AnswerKey | None = None

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self._response_files)

    def load(self) -> None:
        """Read the files, unless that is done. Blocks; may be called from several threads.

        Raises:
            ConfigError: a file is missing or malformed.
        """
        with self._lock:
            if not self._loaded:
                ids = self._read_questions()
                self._read_responses(ids)
                self._loaded = True

    def require(self, llm: str) -> None:
        """Check that it holds answers of this LLM.

        Raises:
            ConfigError: it does not.
        """
        if llm not in self._rows:
            raise ConfigError(f"{self} holds no answers of {llm!r}{did_you_mean(llm, sorted(self._rows))}")

    def places(self, prompt: str) -> list[int]:
        """The questions that a prompt asks: those with its very text, else the longest one that stands in it."""
        squeezed = squeeze(prompt)
        if squeezed in self._places:
            return self._places[squeezed]
        with self._lock:
            if self._key is None:
                self._key = AnswerKey(KnownAnswer(text, str(places[0])) for text, places in self._places.items())
        known = self._key.known(squeezed)
        return [] if known is None else self._places[known.question]

    def answer(self, llm: str, places: Sequence[int]) -> RecordedAnswer | None:
        """What an LLM answered to the first of these questions that it has answered; None where to none."""
        rows = self._rows[llm]
        row = next((int(rows[place]) for place in places if rows[place] != _NONE), _NONE)
        if row == _NONE:
            return None
        values = {name: self._table.column(name)[row].as_py() for name in self._table.column_names}
        return RecordedAnswer(
            text=values["response"],
            reasoning=values.get("reasoning"),
            finish_reason=values.get("finish_reason") or "stop",
            tokens=int(values.get("completion_tokens") or 0),
        )

    def _read_questions(self) -> dict[str, int]:
        ids: dict[str, int] = {}
        for where, line in (item for path in self._question_files for item in _lines(path)):
            name, text = _question(line, where)
            if name in ids:
                raise ConfigError(f"{where}: the question id {name!r} occurs twice")
            self._places.setdefault(squeeze(text), []).append(len(ids))
            ids[name] = len(ids)
        return ids

    def _read_responses(self, ids: dict[str, int]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - slow to import
        import pyarrow.compute as pc  # noqa: PLC0415

        tables = [_table(path) for path in self._response_files]
        common = [name for name in tables[0].column_names if all(name in t.column_names for t in tables)]
        whole = pa.concat_tables([t.select(common) for t in tables], promote_options="permissive").combine_chunks()
        whole = whole.filter(pc.is_valid(whole.column("response")))
        asked = whole.column("question_id").combine_chunks().dictionary_encode()
        place_of = np.array([ids.get(name, _NONE) for name in asked.dictionary.to_pylist()], dtype=np.int32)
        by_llm = whole.column("llm").combine_chunks().dictionary_encode()
        places, llms = place_of[asked.indices.to_numpy()], by_llm.indices.to_numpy()
        for i, name in enumerate(by_llm.dictionary.to_pylist()):
            at = np.flatnonzero((llms == i) & (places != _NONE))
            rows = np.full(len(ids), _NONE, dtype=np.int32)
            rows[places[at]] = at
            if (rows != _NONE).sum() < len(at):
                raise ConfigError(f"{self} holds two answers of {name!r} to one question")
            self._rows[name] = rows
        self._table = whole.select([name for name in common if name not in {"question_id", "llm"}])


def _table(path: Path) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        names = pq.read_schema(path).names
        missing = [name for name in _REQUIRED if name not in names]
        if missing:
            raise ConfigError(f"{path} has no column {', '.join(missing)} (it has: {', '.join(names)})")
        table = pq.read_table(path, columns=[*_REQUIRED, *(name for name in _OPTIONAL if name in names)])
    except (OSError, pa.ArrowException) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
        raise ConfigError(f"cannot read the recorded answers in {path}: {reason}") from None
    for name in _REQUIRED:
        kind = table.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise ConfigError(f"{path}: the column {name!r} must hold texts, not {kind}")
    return table


def _question(line: bytes, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not a line of JSON: {error}") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("id", "question")):
        raise ConfigError(f"{where}: not an object with the texts 'id' and 'question'")
    return row["id"], row["question"]


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    import zstandard  # noqa: PLC0415 - only for these files

    try:
        with path.open("rb") as file:
            stream: Any = file
            if path.suffix == ".zst":
                stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield f"{path}:{number}", line
    except OSError as error:
        raise ConfigError(f"cannot read the recorded questions in {path}: {error.strerror or error}") from None
    except zstandard.ZstdError as error:
        raise ConfigError(f"{path} is not a zstd file, or a damaged one: {error}") from None
