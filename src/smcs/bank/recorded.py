"""Recorded answers of LLMs as arrays: what selection and voting can be replayed on without any inference.

Questions are JSON Lines (plain or zstd) with ``id``, ``benchmark``, ``split``, ``question`` and ``options``. Answers
are a Parquet table (``question_id``, ``llm``, ``extracted``, ``correct``), one row for each question and LLM, or an
``.npz`` of arrays (``V``, ``observed``, ``answer_code``, ``llms``, ``question_ids``). A file of answers may speak for
several benchmarks and a benchmark's answers may come in several files.

Symbols: R LLMs, N questions.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.errors import BankFormatError, QuestionError

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
NO_ANSWER = -1
NOT_OBSERVED = -2


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """A question whose answers are recorded.

    Attributes:
        options: how many answers it has to choose from; None where that is open.
        subject: its area within the benchmark, where the file says one (``meta.subject``).
    """

    id: str
    text: str
    benchmark: str
    split: str
    options: int | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Answers of LLMs to questions.

    Attributes:
        llms: names of the R LLMs.
        questions: the N questions.
        correct: array of shape (R, N); False where not observed.
        observed: array of shape (R, N).
        answers: array of shape (R, N): equal numbers in a column are equal answers; `NO_ANSWER` where the response
            states none, `NOT_OBSERVED` where there is no response.
    """

    llms: tuple[str, ...]
    questions: tuple[RecordedQuestion, ...]
    correct: BoolArray
    observed: BoolArray
    answers: IntArray

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks, in the order in which they come."""
        return list(dict.fromkeys(question.benchmark for question in self.questions))

    @property
    def texts(self) -> list[str]:
        """The questions' texts."""
        return [question.text for question in self.questions]

    def of(self, *, benchmark: str | None = None, split: str | None = None) -> IntArray:
        """Positions of the questions of a benchmark and of a split; of all where not named."""
        return np.array(
            [
                i
                for i, question in enumerate(self.questions)
                if benchmark in (None, question.benchmark) and split in (None, question.split)
            ],
            dtype=np.int64,
        )

    def with_questions(self, positions: Sequence[int] | IntArray) -> Recorded:
        """The same LLMs on some of the questions."""
        at = np.asarray(positions, dtype=np.int64)
        questions = tuple(self.questions[i] for i in at)
        return Recorded(self.llms, questions, self.correct[:, at], self.observed[:, at], self.answers[:, at])

    def with_llms(self, names: Sequence[str]) -> Recorded:
        """Some of the LLMs, in this order, on the same questions.

        Raises:
            QuestionError: a name that is not among them.
        """
        unknown = [name for name in names if name not in self.llms]
        if unknown:
            raise QuestionError(f"no recorded answers of {', '.join(unknown)} (there are: {', '.join(self.llms)})")
        at = [self.llms.index(name) for name in names]
        return Recorded(tuple(names), self.questions, self.correct[at], self.observed[at], self.answers[at])


def read_recorded(
    questions: Sequence[Path], responses: Sequence[Path] = (), matrices: Sequence[Path] = ()
) -> list[Recorded]:
    """Read recorded answers.

    Args:
        questions: questions files.
        responses: Parquet files of answers.
        matrices: ``.npz`` files of answers, quicker to read; what they hold is not looked for in `responses`.

    Returns:
        One for each benchmark, in the order of the files, with all LLMs that have answered any of its questions.

    Raises:
        QuestionError: a file is missing or malformed, an id occurs twice, or a benchmark has no answers.
    """
    rows = _questions(questions)
    by_id = {question.id: i for i, question in enumerate(rows)}
    if len(by_id) < len(rows):
        seen: set[str] = set()
        twice = next(q.id for q in rows if q.id in seen or seen.add(q.id))  # type: ignore[func-returns-value]
        raise QuestionError(f"the question id {twice!r} occurs twice in {', '.join(map(str, questions))}")
    table = _Table(len(rows))
    for path in matrices:
        _read_matrix(path, by_id, table)
    covered = table.covered()
    for path in responses:
        _read_responses(path, {name: i for name, i in by_id.items() if not covered[i]}, table)
    benchmarks = list(dict.fromkeys(question.benchmark for question in rows))
    return [_of_benchmark(name, rows, table) for name in benchmarks]


def join(parts: Sequence[Recorded]) -> Recorded:
    """Several benchmarks as one, with the LLMs that all of them have, in the first one's order.

    Raises:
        QuestionError: there is no such LLM.
    """
    common = [llm for llm in parts[0].llms if all(llm in part.llms for part in parts)]
    if not common:
        raise QuestionError(f"{', '.join(name for part in parts for name in part.benchmarks)} have no LLM in common")
    # Answers of different benchmarks are never compared, so their numbers need not differ.
    same = [part.with_llms(common) for part in parts]
    return Recorded(
        tuple(common),
        tuple(question for part in same for question in part.questions),
        np.concatenate([part.correct for part in same], axis=1),
        np.concatenate([part.observed for part in same], axis=1),
        np.concatenate([part.answers for part in same], axis=1),
    )


class _Table:
    """Answers by LLM while files are read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.correct: dict[str, BoolArray] = {}
        self.answers: dict[str, IntArray] = {}
        self.code_of: dict[str, int] = {}

    def put(self, llm: str, at: IntArray, correct: BoolArray, answers: IntArray) -> None:
        if llm not in self.answers:
            self.correct[llm] = np.zeros(self.count, dtype=bool)
            self.answers[llm] = np.full(self.count, NOT_OBSERVED, dtype=np.int64)
        self.correct[llm][at] = correct
        self.answers[llm][at] = answers

    def covered(self) -> BoolArray:
        """Questions that somebody has answered."""
        some = np.zeros(self.count, dtype=bool)
        for answers in self.answers.values():
            some |= answers != NOT_OBSERVED
        return some


def _of_benchmark(name: str, rows: Sequence[RecordedQuestion], table: _Table) -> Recorded:
    at = np.array([i for i, question in enumerate(rows) if question.benchmark == name])
    llms = [llm for llm, answers in table.answers.items() if (answers[at] != NOT_OBSERVED).any()]
    if not llms:
        raise QuestionError(f"there is no recorded answer to any question of {name!r} (first id: {rows[at[0]].id!r})")
    answers = np.stack([table.answers[llm][at] for llm in llms])
    correct = np.stack([table.correct[llm][at] for llm in llms])
    return Recorded(tuple(llms), tuple(rows[i] for i in at), correct, answers != NOT_OBSERVED, answers)


def _questions(paths: Sequence[Path]) -> list[RecordedQuestion]:
    return [_question(line, where) for path in paths for where, line in _lines(path)]


def _question(line: bytes, where: str) -> RecordedQuestion:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"{where}: not a line of JSON: {error}") from None
    if not isinstance(row, dict):
        raise QuestionError(f"{where}: not a JSON object")
    for key in ("id", "question", "benchmark", "split"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise QuestionError(f"{where}: {key!r} must be a text that is not empty")
    options, meta = row.get("options"), row.get("meta")
    subject = meta.get("subject") if isinstance(meta, dict) else None
    return RecordedQuestion(
        id=row["id"],
        text=row["question"],
        benchmark=row["benchmark"],
        split=row["split"],
        options=len(options) if isinstance(options, list) and options else None,
        subject=subject if isinstance(subject, str) else None,
    )


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with path.open("rb") as file:
            stream: Any = file
            if path.suffix == ".zst":
                import zstandard  # noqa: PLC0415 - only for compressed files

                stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield f"{path}:{number}", line
    except OSError as error:
        raise QuestionError(f"cannot read the questions file {path}: {error.strerror or error}") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise QuestionError(f"{path} is not a zstd file, or a damaged one: {error}") from None


def _read_matrix(path: Path, by_id: dict[str, int], table: _Table) -> None:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {key: content[key] for key in ("V", "observed", "answer_code", "llms", "question_ids")}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BankFormatError(f"cannot read the matrix file {path}: {error}") from None
    shape = (len(arrays["llms"]), len(arrays["question_ids"]))
    for key in ("V", "observed", "answer_code"):
        if arrays[key].shape != shape:
            raise BankFormatError(f"{path}: {key} has shape {arrays[key].shape} instead of {shape}")
    known = [(column, by_id[str(name)]) for column, name in enumerate(arrays["question_ids"]) if str(name) in by_id]
    columns = np.array([column for column, _ in known], dtype=np.int64)
    at = np.array([i for _, i in known], dtype=np.int64)
    for row, llm in enumerate(arrays["llms"]):
        seen = arrays["observed"][row, columns].astype(bool)
        answers = np.where(seen, np.maximum(arrays["answer_code"][row, columns].astype(np.int64), NO_ANSWER), NO_ANSWER)
        table.put(str(llm), at[seen], arrays["V"][row, columns].astype(bool)[seen], answers[seen])


def _read_responses(path: Path, by_id: dict[str, int], table: _Table) -> None:
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = ["question_id", "llm", "extracted", "correct"]
    try:
        read = pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise BankFormatError(f"cannot read the answers in {path}: {error}") from None
    missing = [column for column in columns if column not in read.column_names]
    if missing:
        raise BankFormatError(f"{path} has no column {', '.join(missing)} (has: {', '.join(read.column_names)})")
    ids, llms, extracted, correct = (read.column(column).to_pylist() for column in columns)
    rows: dict[str, tuple[list[int], list[bool], list[int]]] = {}
    for name, llm, answer, right in zip(ids, llms, extracted, correct, strict=True):
        if name not in by_id or right is None:  # not one of our questions, or not graded
            continue
        code = NO_ANSWER if answer is None else table.code_of.setdefault(answer, len(table.code_of))
        at, graded, codes = rows.setdefault(llm, ([], [], []))
        at.append(by_id[name])
        graded.append(bool(right))
        codes.append(code)
    for llm, (at, graded, codes) in rows.items():
        if len(set(at)) < len(at):
            raise BankFormatError(f"{path} holds two answers of {llm} to one question")
        table.put(llm, np.array(at), np.array(graded, dtype=bool), np.array(codes, dtype=np.int64))
