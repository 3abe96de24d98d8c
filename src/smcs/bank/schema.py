"""The tables of a bank's store.

Texts that LLMs write are kept once, in ``calls``, under the hash of what was asked. A question's response by an LLM
points there, and so do the grades, one for each version of the grader: nothing that was paid for is ever overwritten.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

FORMAT = "smcs question bank"
FORMAT_VERSION = 1

metadata = MetaData()

# What the store is: format, version, embedder, when it was made. One row a key.
bank = Table("bank", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

questions = Table(
    "questions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # the bank's order
    Column("id", Text, nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("answer", Text),
    Column("grader", Text, nullable=False),
    Column("benchmark", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("system", Text),
    Column("options", Text),  # JSON
    Column("meta", Text),  # JSON
    Column("added", Double, nullable=False),  # seconds since 1970, as all times here
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("question", ForeignKey(questions.c.seq), primary_key=True, autoincrement=False),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
)

llms = Table(
    "llms",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False, unique=True),  # part of the hash of its calls; stays when the name changes
    Column("name", Text, nullable=False, unique=True),
    Column("backend", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("added", Double, nullable=False),
)

# Under what an LLM answered: the sampling settings and the system prompt.
settings = Table(
    "settings",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("sampling", Text, nullable=False),  # JSON, what is not a default
    Column("system", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),  # short hash of it
)

calls = Table(
    "calls",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256; see smcs.bank.keys
    Column("llm", ForeignKey(llms.c.seq), nullable=False),
    Column("settings", ForeignKey(settings.c.digest), nullable=False),
    Column("sample", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("reasoning", Text),
    Column("finish_reason", Text, nullable=False),
    Column("logprobs", LargeBinary),  # little-endian float32
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cost_usd", Double),
    Column("seconds", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("made", Double, nullable=False),
    Index("calls_by_llm", "llm"),
)

# `correct` is the current grade: 1, 0, or null where there is none yet (`graded` 0) or cannot be one (`graded` 1).
responses = Table(
    "responses",
    metadata,
    Column("llm", ForeignKey(llms.c.seq), primary_key=True, autoincrement=False),
    Column("question", ForeignKey(questions.c.seq), primary_key=True, autoincrement=False),
    Column("call", ForeignKey(calls.c.key), nullable=False),
    Column("graded", SmallInteger, nullable=False),
    Column("correct", SmallInteger),
    sqlite_with_rowid=False,
)

grades = Table(
    "grades",
    metadata,
    Column("call", ForeignKey(calls.c.key), primary_key=True),
    Column("question", ForeignKey(questions.c.seq), primary_key=True, autoincrement=False),
    Column("grader", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("correct", SmallInteger),
    Column("extracted", Text),
    Column("reason", Text, nullable=False),
    Column("made", Double, nullable=False),
    sqlite_with_rowid=False,
)

# The last failure of each question that an LLM has failed on. Where there is a response too, it failed only at first.
failures = Table(
    "failures",
    metadata,
    Column("llm", ForeignKey(llms.c.seq), primary_key=True, autoincrement=False),
    Column("question", ForeignKey(questions.c.seq), primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),  # of the last call
    Column("times", Integer, nullable=False),  # calls that failed
    Column("seconds", Double, nullable=False),
    Column("made", Double, nullable=False),
    sqlite_with_rowid=False,
)
