"""Exporting a bank's questions and answers, in the form that `smcs.bank.importing` reads."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, select

from smcs.bank import schema
from smcs.bank.importing import TEXT_COLUMNS
from smcs.bank.store import BankStore, StoredLLM, StoredQuestion
from smcs.errors import BankError
from smcs.registry import did_you_mean

_ROWS_OF_A_GROUP = 20_000
_FEW_VALUES = ["benchmark", "split", "llm", "finish_reason", "backend", "model", "grader", "grader_version"]


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Check that a file can be written here, before any work is done for it.

    Raises:
        BankError: something is there already, or the folder is not.
    """
    if path.is_dir():
        raise BankError(f"{path} is a folder; give the file a name in it")
    if path.exists() and not overwrite:
        raise BankError(f"{path} is there already; --force replaces it")
    if not path.parent.is_dir():
        raise BankError(f"there is no folder {path.parent} to write to")


def export_questions(store: BankStore, path: Path, *, split: str | None = None) -> int:
    """Write the questions as JSON Lines, compressed where the name ends in ``.zst``.

    It is also a questions file, and a file of the local benchmark format.

    Args:
        split: only the questions of this split; None for all.

    Returns:
        How many there are.

    Raises:
        BankError: the file cannot be written.
    """
    questions = store.questions(split)
    with replacing(path) as temporary, _text_file(temporary, compressed=path.suffix == ".zst") as file:
        for stored in questions:
            file.write(json.dumps(_question_line(stored), ensure_ascii=False).encode() + b"\n")
    return len(questions)


def export_responses(store: BankStore, path: Path, *, split: str | None = None, llms: Sequence[str] = ()) -> int:
    """Write the responses with their grades as a Parquet table, LLM by LLM.

    Failed calls have no row; a response that is not graded has no ``correct``.

    Args:
        split: only the responses to questions of this split; None for all.
        llms: only the responses of these; of all by default.

    Returns:
        How many there are.

    Raises:
        BankError: the bank has no such LLM, or the file cannot be written.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    _check_llms(store, llms)
    columns = _columns()
    written = 0
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(
            temporary, columns, compression="zstd", compression_level=9, use_dictionary=_FEW_VALUES
        ) as writer,
    ):
        rows: list[dict[str, Any]] = []
        for row in _rows(store, split, llms):
            rows.append(row)
            if len(rows) == _ROWS_OF_A_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, columns))
                written, rows = written + len(rows), []
        writer.write_table(pa.Table.from_pylist(rows, columns))
    return written + len(rows)


def _question_line(stored: StoredQuestion) -> dict[str, Any]:
    question = stored.question
    return {
        "id": question.id,
        "benchmark": question.benchmark,
        "split": stored.split,
        "question": question.text,
        "options": None if question.options is None else list(question.options),
        "answer": question.answer,
        "meta": dict(question.meta),
        "grader": question.grader,
        "system": question.system,
    }


def _columns() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    kinds = dict.fromkeys(("benchmark", "question_id", "split", *TEXT_COLUMNS), pa.string())
    kinds |= {"correct": pa.bool_(), "completion_tokens": pa.int32(), "prompt_tokens": pa.int32()}
    kinds |= {"cost_usd": pa.float64(), "seconds": pa.float64()}
    return pa.schema(list(kinds.items()))


def _rows(store: BankStore, split: str | None, llms: Sequence[str]) -> Iterator[dict[str, Any]]:
    for llm in store.llms():
        if not llms or llm.name in llms:
            with store.reading() as connection:
                yield from _of_llm(connection, llm, split)


def _of_llm(connection: Connection, llm: StoredLLM, split: str | None) -> Iterator[dict[str, Any]]:
    """One LLM's responses in the bank's order; the order of the tables' keys, so that nothing has to be sorted."""
    responses, calls, questions = schema.responses, schema.calls, schema.questions
    query = (
        select(
            questions.c.benchmark,
            questions.c.id.label("question_id"),
            questions.c.split,
            calls.c.text.label("response"),
            responses.c.correct,
            calls.c.completion_tokens,
            calls.c.reasoning,
            calls.c.finish_reason,
            calls.c.prompt_tokens,
            calls.c.cost_usd,
            calls.c.seconds,
            responses.c.call,
            responses.c.question,
        )
        .join(questions, questions.c.seq == responses.c.question)
        .join(calls, calls.c.key == responses.c.call)
        .where(responses.c.llm == llm.seq)
        .order_by(responses.c.question)
    )
    if split is not None:
        query = query.where(questions.c.split == split)
    graded = _grades(connection, llm)
    for row in connection.execute(query):
        values = dict(row._mapping)  # noqa: SLF001
        grade = graded.get((bytes(values.pop("call")), values.pop("question")), {})
        right = None if row.correct is None else bool(row.correct)
        yield {**values, **grade, "correct": right, "llm": llm.name, "backend": llm.backend, "model": llm.model}


def _grades(connection: Connection, llm: StoredLLM) -> dict[tuple[bytes, int], dict[str, Any]]:
    """The last grade of each of an LLM's responses."""
    responses, grades = schema.responses, schema.grades
    graded = (grades.c.call == responses.c.call) & (grades.c.question == responses.c.question)
    query = (
        select(grades.c.call, grades.c.question, grades.c.extracted, grades.c.grader, grades.c.version)
        .join(responses, graded)
        .where(responses.c.llm == llm.seq)
        .order_by(grades.c.made)
    )
    return {
        (bytes(call), question): {"extracted": extracted, "grader": grader, "grader_version": version}
        for call, question, extracted, grader, version in connection.execute(query)
    }


def _check_llms(store: BankStore, llms: Sequence[str]) -> None:
    known = [llm.name for llm in store.llms()]
    for name in llms:
        if name not in known:
            raise BankError(f"the bank has no LLM {name!r}{did_you_mean(name, known)}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; it gets the final one when the block ends well, and is gone otherwise."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise BankError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _text_file(path: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if not compressed:
            yield file
            return
        import zstandard  # noqa: PLC0415 - only for compressed files

        with zstandard.ZstdCompressor(level=10).stream_writer(file) as writer:
            yield writer
