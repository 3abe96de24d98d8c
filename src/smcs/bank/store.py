"""The bank's store: questions, embeddings, LLMs, and what they answered."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Text, cast, delete, func, insert, select, update

from smcs.bank import keys, migrations, schema
from smcs.bank.arrays import QuestionBank, require_same_embedder
from smcs.bank.connect import Location, open_engine, settle, shown, translated
from smcs.errors import BankError, QuestionError
from smcs.registry import did_you_mean
from smcs.types import EmbedderInfo, LLMInfo, Question

VECTOR = np.dtype("<f4")
VALIDATION, TEST = "validation", "test"


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A question of the bank.

    Attributes:
        seq: its place in the bank's order.
        split: ``validation`` for what the prior may look at, ``test`` for what is held out.
    """

    seq: int
    question: Question
    split: str = VALIDATION


@dataclass(frozen=True, slots=True)
class StoredLLM:
    """An LLM of the bank.

    Attributes:
        uid: its lasting identity, which its name is not.
    """

    seq: int
    uid: str
    name: str
    backend: str
    model: str


class BankStore:
    """An open bank. Reading and small changes; what an evaluation produces goes through `smcs.bank.writer`.

    Open it with `open_bank`, make one with `smcs.bank.create.create_bank`. Not for use by several threads at once.
    """

    def __init__(self, location: Location, engine: Engine, *, write: bool) -> None:
        self.location = location
        self.engine = engine
        self.write = write
        with self.reading() as connection:
            rows = connection.execute(select(schema.bank.c.key, schema.bank.c.value))
            self.properties: Mapping[str, str] = {row.key: row.value for row in rows}
        self.embedder = EmbedderInfo(**json.loads(self.properties["embedder"]))

    def close(self) -> None:
        """Let go of the bank; one that was written becomes a single file again."""
        if self.write:
            settle(self.engine)
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with."""
        with translated(self.location), self.engine.connect().execution_options(reads=True) as connection:
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection to write with: all of what the block does is stored, or nothing."""
        with translated(self.location), self.engine.begin() as connection:
            yield connection

    def questions(self, split: str | None = None) -> list[StoredQuestion]:
        """The questions in the bank's order, of one split or all."""
        table = schema.questions
        query = select(*(table.c[name] for name in _QUESTION_COLUMNS)).order_by(table.c.seq)
        if split is not None:
            query = query.where(table.c.split == split)
        with self.reading() as connection:
            return [_stored_question(row) for row in connection.execute(query).all()]

    def question(self, question_id: str) -> StoredQuestion:
        """One question by its id.

        Raises:
            QuestionError: the bank does not have it.
        """
        table = schema.questions
        query = select(*(table.c[name] for name in _QUESTION_COLUMNS)).where(table.c.id == question_id)
        with self.reading() as connection:
            row = connection.execute(query).first()
            if row is None:
                known = list(connection.scalars(select(table.c.id)))
                hint = did_you_mean(question_id, known) if len(known) <= 20 else f" (it has {len(known)})"
                raise QuestionError(f"the bank {shown(self.location)} has no question {question_id!r}{hint}")
        return _stored_question(row)

    def llms(self) -> list[StoredLLM]:
        """The LLMs in the order in which they joined."""
        table = schema.llms
        columns = (table.c.seq, table.c.uid, table.c.name, table.c.backend, table.c.model)
        with self.reading() as connection:
            return [StoredLLM(*row) for row in connection.execute(select(*columns).order_by(table.c.seq))]

    def load(self, split: str | None = VALIDATION) -> QuestionBank:
        """The bank as arrays; by default without the questions that are held out.

        Raises:
            BankError: it cannot be read, or is damaged.
        """
        questions, llms = self.questions(split), self.llms()
        row_of = {llm.seq: i for i, llm in enumerate(llms)}
        shape = (len(llms), len(questions))
        capability, observed = np.zeros(shape, np.uint8), np.zeros(shape, np.bool_)
        column_of = _inverse([q.seq for q in questions])
        with self.reading() as connection:
            vectors = self._vectors(connection, split)
            for llm, correct, graded in connection.execute(_GRADED):
                columns = column_of(np.fromstring(graded, np.int64, sep=","))
                capability[row_of[llm], columns], observed[row_of[llm], columns] = correct, True
        if vectors.shape != (len(questions), self.embedder.dimension):
            raise BankError(f"the bank {shown(self.location)} is damaged: embeddings are missing or of a wrong length")
        return QuestionBank(
            questions=tuple(q.question for q in questions),
            embeddings=vectors,
            embedder=self.embedder,
            llms=tuple(llm.name for llm in llms),
            capability=capability,
            observed=observed,
            models=tuple(f"{llm.backend}/{llm.model}" for llm in llms),
        )

    def require_embedder(self, info: EmbedderInfo) -> None:
        """Check that this embedder made the bank's embeddings.

        Raises:
            EmbedderMismatchError: it did not; says what differs.
        """
        require_same_embedder(self.embedder, info)

    def _vectors(self, connection: Connection, split: str | None) -> NDArray[np.float32]:
        query = select(schema.embeddings.c.vector).join(schema.questions).order_by(schema.questions.c.seq)
        if split is not None:
            query = query.where(schema.questions.c.split == split)
        packed = np.frombuffer(b"".join(connection.scalars(query)), VECTOR)
        dimension = self.embedder.dimension
        whole = packed.size // dimension * dimension
        return packed[:whole].reshape(-1, dimension).astype(np.float32, copy=False)

    def set_property(self, key: str, value: str) -> None:
        """Keep a property of the bank."""
        with self.transaction() as connection:
            connection.execute(delete(schema.bank).where(schema.bank.c.key == key))
            connection.execute(insert(schema.bank), [{"key": key, "value": value}])
        self.properties = {**self.properties, key: value}

    def add_questions(self, items: Sequence[tuple[Question, str]], vectors: NDArray[np.float32]) -> None:
        """Append questions with their splits and embeddings, all or none.

        Args:
            vectors: of shape (n_questions, dimension), each row of length 1.

        Raises:
            BankError: an id is taken, or the bank cannot be written.
        """
        with self.transaction() as connection:
            insert_questions(connection, items, vectors)

    def find_llm(self, info: LLMInfo) -> StoredLLM | None:
        """The bank's entry for this LLM, if it has one.

        Raises:
            BankError: the bank knows another LLM by this name.
        """
        for llm in self.llms():
            if llm.name != info.name:
                continue
            if (llm.backend, llm.model) != (info.backend, info.model):
                raise BankError(
                    f"in the bank {shown(self.location)} {info.name!r} is {llm.backend}/{llm.model}, not "
                    f"{info.backend}/{info.model}; give the new one another name in the pool file, or the old one with "
                    f"smcs bank rename"
                )
            return llm
        return None

    def new_uid(self, info: LLMInfo) -> str:
        """The identity that an LLM gets when it joins the bank."""
        taken = {llm.uid for llm in self.llms()}
        uid = keys.llm_uid(info.name, info.backend, info.model)
        while uid in taken:  # an LLM of this name and model has been renamed since
            uid = keys.llm_uid(uid, info.backend, info.model)
        return uid

    def register(self, info: LLMInfo) -> StoredLLM:
        """The bank's entry for this LLM, made where there is none.

        Raises:
            BankError: the bank knows another LLM by this name.
        """
        known, uid = self.find_llm(info), self.new_uid(info)
        if known is not None:
            return known
        with self.transaction() as connection:
            seq = (connection.scalar(select(func.max(schema.llms.c.seq))) or 0) + 1
            row = {"seq": seq, "uid": uid, "name": info.name, "backend": info.backend, "model": info.model}
            connection.execute(insert(schema.llms), [{**row, "added": time.time()}])
        return StoredLLM(seq, uid, info.name, info.backend, info.model)

    def rename(self, old: str, new: str) -> None:
        """Give an LLM another name; its responses, and what was paid for them, stay its own.

        Raises:
            BankError: there is no such LLM, or the new name is taken.
        """
        known = [llm.name for llm in self.llms()]
        if old not in known:
            raise BankError(f"the bank {shown(self.location)} has no LLM {old!r}{did_you_mean(old, known)}")
        if new in known:
            raise BankError(f"the bank {shown(self.location)} already has an LLM {new!r}")
        with self.transaction() as connection:
            connection.execute(update(schema.llms).where(schema.llms.c.name == old).values(name=new))


# By LLM and grade the questions, as one text: a hundred times fewer rows than there are grades, and as much quicker.
_GRADED = (
    select(
        schema.responses.c.llm,
        schema.responses.c.correct,
        func.aggregate_strings(cast(schema.responses.c.question, Text), ","),
    )
    .where(schema.responses.c.correct.is_not(None))
    .group_by(schema.responses.c.llm, schema.responses.c.correct)
)
_QUESTION_COLUMNS = ("seq", "id", "text", "answer", "grader", "benchmark", "split", "system", "options", "meta")


def open_bank(location: Location, *, write: bool = False) -> BankStore:
    """Open a bank: a file's path, or the URL of a database on a server.

    A bank of an older format is brought to this one's first, where it can be written.

    Raises:
        BankError: there is none, or it cannot be read.
        BankFormatError: it is no bank, or of a version that this smcs does not know.
    """
    engine = open_engine(location, write=False)  # even opening for writing would touch a file that is no bank
    with translated(location), engine.connect() as connection:
        version = migrations.stored_version(connection, location)
    if version < schema.FORMAT_VERSION:
        _migrate(location)
    return BankStore(location, open_engine(location, write=True) if write else engine, write=write)


def load_bank(location: Location, split: str | None = VALIDATION) -> QuestionBank:
    """A bank as arrays.

    Args:
        location: path of the bank, or the URL of a database on a server.
        split: the questions to load; None for all, held out ones included.

    Raises:
        BankError: there is none, or it cannot be read.
        BankFormatError: it is no bank, or of a version that this smcs does not know.
    """
    with open_bank(location) as store:
        return store.load(split)


def make_tables(connection: Connection, embedder: EmbedderInfo) -> None:
    """Turn an empty database into an empty bank."""
    schema.metadata.create_all(connection)
    properties = {
        "format": schema.FORMAT,
        "version": str(schema.FORMAT_VERSION),
        "embedder": json.dumps(dataclasses.asdict(embedder)),
        "made": str(time.time()),
    }
    connection.execute(insert(schema.bank), [{"key": k, "value": v} for k, v in properties.items()])


def insert_questions(
    connection: Connection, items: Sequence[tuple[Question, str]], vectors: NDArray[np.float32]
) -> None:
    """Append questions to a bank within the caller's transaction."""
    if not items:
        return
    first = (connection.scalar(select(func.max(schema.questions.c.seq))) or 0) + 1
    now = time.time()
    rows = [_question_row(first + i, question, split, now) for i, (question, split) in enumerate(items)]
    connection.execute(insert(schema.questions), rows)
    packed = np.ascontiguousarray(vectors, VECTOR)
    connection.execute(
        insert(schema.embeddings), [{"question": first + i, "vector": v.tobytes()} for i, v in enumerate(packed)]
    )


def _inverse(values: Sequence[int]) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """From some of these values to their positions; what is not among them is left out."""
    places = np.full(max(values, default=0) + 1, -1, np.int64)
    places[np.array(values, np.int64)] = np.arange(len(values))

    def positions(some: NDArray[np.int64]) -> NDArray[np.int64]:
        found = places[some[some < len(places)]]
        return found[found >= 0]

    return positions


def _migrate(location: Location) -> None:
    engine = open_engine(location, write=True)
    try:
        with translated(location), engine.begin() as connection:
            # Looked at again: somebody else may have done it since.
            migrations.migrate(connection, location, migrations.stored_version(connection, location))
        settle(engine)
    finally:
        engine.dispose()


def _question_row(seq: int, question: Question, split: str, now: float) -> dict[str, Any]:
    return {
        "seq": seq,
        "id": question.id,
        "text": question.text,
        "answer": question.answer,
        "grader": question.grader,
        "benchmark": question.benchmark,
        "split": split,
        "system": question.system,
        "options": None if question.options is None else json.dumps(question.options, ensure_ascii=False),
        "meta": json.dumps(dict(question.meta), ensure_ascii=False) if question.meta else None,
        "added": now,
    }


def _stored_question(row: Iterable[Any]) -> StoredQuestion:
    seq, question_id, text, answer, grader, benchmark, split, system, options, meta = row
    question = Question(
        text=text,
        id=question_id,
        answer=answer,
        grader=grader,
        benchmark=benchmark,
        system=system,
        options=tuple(json.loads(options)) if options else None,
        meta=json.loads(meta) if meta else {},
    )
    return StoredQuestion(seq, question, split)
