"""Importing what was recorded elsewhere: questions, and what LLMs answered to them.

Questions are JSON Lines (plain or zstd), each either a line of a questions file (with its ``grader``) or a line of the
local benchmark format, whose benchmark then says how it is graded. Answers are a Parquet table, one row for each
question and LLM: ``question_id``, ``llm``, ``response``, ``correct``, and as far as known ``extracted``,
``completion_tokens``, ``prompt_tokens``, ``reasoning``, ``finish_reason``, ``cost_usd``, ``seconds``, ``backend``,
``model``, ``grader`` and ``grader_version``. `smcs.bank.exporting` writes both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from smcs import registry
from smcs.bank import keys, schema
from smcs.bank.lock import run_lock
from smcs.bank.questions_file import (
    OnError,
    Problem,
    check_gradable,
    check_ids,
    json_object,
    parse_line,
    problems_error,
    read_questions,
)
from smcs.bank.records import Answered, Graded, Record, Setting, storable
from smcs.bank.regrade import RECORDED
from smcs.bank.sources import Gathered
from smcs.bank.store import BankStore, StoredLLM
from smcs.bank.writer import write_records, write_settings
from smcs.benchmarks._base import TableBenchmark
from smcs.errors import BankFormatError, QuestionError
from smcs.types import Completion, Grade, LLMInfo, Question, Sampling

SETTING = Setting(
    keys.settings_digest(Sampling(extra={RECORDED: True}), ""), Sampling(extra={RECORDED: True}), system=""
)
"""Under what a recorded answer was asked for: it is not known."""
TEXT_COLUMNS = (
    "question_id",
    "llm",
    "response",
    "extracted",
    "reasoning",
    "finish_reason",
    "backend",
    "model",
    "grader",
    "grader_version",
)
NUMBER_COLUMNS = ("completion_tokens", "prompt_tokens", "cost_usd", "seconds")
REQUIRED = ("question_id", "llm", "response", "correct")
_BATCH = 4000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import of answers came to, in rows of the table.

    Attributes:
        stored: answers that the bank has now and had not before.
        present: rows whose question that LLM had answered already; the bank's answers stay as they are.
        without: rows without a response, such as a call that had failed: not observed.
        ungraded: of those stored, how many have no recorded grade and wait for the grader.
        unknown: rows of questions that the bank does not have.
        other_llms: rows of LLMs that were not asked for.
    """

    stored: int = 0
    present: int = 0
    without: int = 0
    ungraded: int = 0
    unknown: int = 0
    other_llms: int = 0

    def __add__(self, other: Imported) -> Imported:
        return Imported(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def times(self, count: int) -> Imported:
        """The same so many times."""
        return Imported(*(getattr(self, name) * count for name in self.__slots__))


def gather_recorded(
    paths: Sequence[Path], *, split: str | None = None, on_error: OnError = "stop", present: Sequence[Question] = ()
) -> Gathered:
    """Read and check recorded questions.

    Args:
        paths: files of questions.
        split: only the questions of this split; None for all.
        on_error: whether a line that cannot be used stops everything or is left out.
        present: questions that the bank holds already.

    Raises:
        QuestionError: a file cannot be read, or a line cannot be used.
    """
    benchmarks = _Benchmarks()
    read = [read_questions(path, benchmarks.parse) for path in paths]
    questions = [source for found, _ in read for source in found]
    wanted = [source for source in questions if split in (None, source.split)]
    good, ungradable = check_gradable(wanted)
    known = {_asked(q): q.id for q in present}
    new = [source for source in good if _asked(source.question) not in known]
    chosen, taken = check_ids(new, {q.id: "another question in the bank" for q in present})
    problems: list[Problem] = [*(problem for _, bad in read for problem in bad), *ungradable, *taken]
    if problems and on_error == "stop":
        raise problems_error(problems)
    items = tuple((source.question, source.split) for source in chosen)
    return Gathered(items, tuple(problems), len(questions) - len(wanted), len(good) - len(new))


def check_responses(path: Path) -> int:
    """Check that a file is a table of recorded answers, before any work is done for it.

    Returns:
        Its number of rows.

    Raises:
        BankFormatError: it is not; says what is wrong.
    """
    with _opened(path) as file:
        names: list[str] = file.schema_arrow.names
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise BankFormatError(f"{path} has no column {', '.join(missing)} (it has: {', '.join(names)})")
        for name in names:
            _check_type(path, name, file.schema_arrow.field(name).type)
        return int(file.metadata.num_rows)


def import_responses(
    store: BankStore,
    path: Path,
    *,
    llms: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Imported:
    """Store recorded answers with their grades; a question that an LLM has answered already is passed over.

    A few thousand rows are one transaction. Ended at any instant, the same import goes on from there.

    Args:
        store: open for writing.
        path: the Parquet table.
        llms: only the answers of these; of all by default.
        progress: told how many rows of how many have been read.

    Raises:
        BankFormatError: the file is no such table, or has none of the LLMs asked for.
        BankError: the bank knows another LLM by a name of the table, a run is at work on it, or it cannot be written.
    """
    total = check_responses(path)
    result, done = Imported(), 0
    with run_lock(store.location, store.engine):
        importer = _Importer(store, path, set(llms))
        for rows in _batches(path):
            result += importer.store(rows, done)
            done += len(rows)
            progress(done, total)
    missing = sorted(set(llms) - importer.seen)
    if missing:
        known = registry.did_you_mean(missing[0], sorted(importer.seen))
        raise BankFormatError(f"{path} holds no answers of {missing[0]!r}{known}")
    return result


class _Importer:
    def __init__(self, store: BankStore, path: Path, wanted: set[str]) -> None:
        self._store = store
        self._path = path
        self._wanted = wanted
        self._questions = {q.question.id: q.seq for q in store.questions()}
        self._llms: dict[tuple[str, str, str], StoredLLM] = {}
        self._answered = _answered(store)
        self.seen: set[str] = set()
        with store.transaction() as connection:
            write_settings(connection, [SETTING])

    def store(self, rows: Sequence[Mapping[str, Any]], first: int) -> Imported:
        """Store a batch of rows; `first` is the number of the one before them."""
        counts: Counter[Imported] = Counter()
        records: list[Record] = []
        for number, row in enumerate(rows, first + 1):
            outcome, made = self._records(row, number)
            counts[outcome] += 1
            records += made
        if records:
            with self._store.transaction() as connection:
                write_records(connection, records)
        return sum((outcome.times(count) for outcome, count in counts.items()), Imported())

    def _records(self, row: Mapping[str, Any], number: int) -> tuple[Imported, list[Record]]:
        name, question_id, text = row["llm"], row["question_id"], row["response"]
        if not name or not question_id:
            raise BankFormatError(f"{self._path}, row {number} has no {'question_id' if name else 'llm'}")
        self.seen.add(name)
        question = self._questions.get(question_id)
        if self._wanted and name not in self._wanted:
            return _OTHER_LLM, []
        if question is None:
            return _UNKNOWN, []
        if text is None:
            return _WITHOUT, []
        llm = self._llm(row)
        answered = self._answered.setdefault(llm.seq, set())
        if question in answered:
            return _PRESENT, []
        answered.add(question)
        completion = _completion(row, storable(text))
        key = keys.recorded_key(llm.uid, question_id, completion.text)
        call = Answered(key, llm.seq, (question,), SETTING.digest, completion)
        if row["correct"] is None:
            return _UNGRADED, [call]
        grade = Grade(row["correct"], row.get("extracted"))
        version = row.get("grader_version") or "1"
        return _STORED, [call, Graded(key, llm.seq, question, row.get("grader") or RECORDED, version, grade)]

    def _llm(self, row: Mapping[str, Any]) -> StoredLLM:
        name, backend, model = row["llm"], row.get("backend") or RECORDED, row.get("model") or row["llm"]
        if (name, backend, model) not in self._llms:
            self._llms[name, backend, model] = self._store.register(LLMInfo(name, backend, model))
        return self._llms[name, backend, model]


# What becomes of a row; there are too many to make one anew for each.
_STORED, _UNGRADED = Imported(stored=1), Imported(stored=1, ungraded=1)
_PRESENT, _WITHOUT = Imported(present=1), Imported(without=1)
_UNKNOWN, _OTHER_LLM = Imported(unknown=1), Imported(other_llms=1)


class _Benchmarks:
    """The benchmarks by their names and aliases."""

    def __init__(self) -> None:
        self._by_name: dict[str, TableBenchmark] = {}

    def parse(self, line: bytes) -> tuple[Question, str]:
        """One line of recorded questions: the question and its split."""
        row = json_object(line)
        if row.get("grader") is not None:
            return parse_line(line)
        name = row.get("benchmark")
        if not self._by_name:
            self._load()
        if not isinstance(name, str) or name not in self._by_name:
            hint = registry.did_you_mean(str(name), sorted(self._by_name)) if name else ""
            raise QuestionError(f"'grader' is missing, and there is no benchmark {name!r} that would tell it{hint}")
        return self._by_name[name].parse(line, f"benchmark {name!r}")

    def _load(self) -> None:
        for name in registry.names("benchmarks"):
            made = registry.find("benchmarks", name).create()
            if isinstance(made, TableBenchmark):
                self._by_name |= dict.fromkeys((made.name, *made.aliases), made)


def _asked(question: Question) -> tuple[Any, ...]:
    """What makes two questions the same for an answer that was given to one of them."""
    return question.id, question.text, question.answer, question.options


def _answered(store: BankStore) -> dict[int, set[int]]:
    """The questions that each LLM has a response to."""
    found: dict[int, set[int]] = {}
    with store.reading() as connection:
        for llm, question in connection.execute(select(schema.responses.c.llm, schema.responses.c.question)):
            found.setdefault(llm, set()).add(question)
    return found


def _completion(row: Mapping[str, Any], text: str) -> Completion:
    reasoning = row.get("reasoning")
    return Completion(
        row["llm"],
        text,
        finish_reason=row.get("finish_reason") or "stop",
        reasoning=None if reasoning is None else storable(reasoning),
        prompt_tokens=int(row.get("prompt_tokens") or 0),
        completion_tokens=int(row.get("completion_tokens") or 0),
        cost_usd=row.get("cost_usd"),
        seconds=float(row.get("seconds") or 0.0),
    )


def _check_type(path: Path, name: str, kind: Any) -> None:
    import pyarrow.types as kinds  # noqa: PLC0415 - slow to import

    inner = kind.value_type if kinds.is_dictionary(kind) else kind
    text = kinds.is_string(inner) or kinds.is_large_string(inner)
    number = kinds.is_integer(inner) or kinds.is_floating(inner)
    empty = kinds.is_null(inner) and name not in REQUIRED
    fits = {
        **dict.fromkeys(TEXT_COLUMNS, (text, "texts")),
        **dict.fromkeys(NUMBER_COLUMNS, (number, "numbers")),
        "correct": (kinds.is_boolean(inner), "true, false or null"),
    }
    right, wanted = fits.get(name, (True, ""))
    if not right and not empty:
        raise BankFormatError(f"{path}: the column {name!r} must hold {wanted}, not {kind}")


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows, a few thousand at a time: the whole table is never in memory."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    with _opened(path) as file:
        known = {*TEXT_COLUMNS, *NUMBER_COLUMNS, "correct"}
        columns = [name for name in file.schema_arrow.names if name in known]
        try:
            for batch in file.iter_batches(_BATCH, columns=columns):
                yield batch.to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise BankFormatError(f"{path} is damaged: {error}") from None


def _opened(path: Path) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise BankFormatError(f"there is no file of answers {path}") from None
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise BankFormatError(f"cannot read the answers in {path}: {reason}") from None
