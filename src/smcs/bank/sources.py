"""Where a bank's questions come from: questions files, and benchmarks by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smcs import registry
from smcs.bank.questions_file import (
    SUFFIXES,
    OnError,
    Problem,
    SourceQuestion,
    check_gradable,
    check_ids,
    problems_error,
    read_questions,
)
from smcs.benchmarks._base import Benchmark, Hub, LocalFolder
from smcs.errors import QuestionError
from smcs.types import Question


@dataclass(frozen=True, slots=True)
class Gathered:
    """Questions that are fit for a bank.

    Attributes:
        items: each with its split, in the order of the sources.
        skipped: lines that were left out because they cannot be used.
        other_splits: how many questions were left out because of their split.
        present: how many were left out because the bank has just these already.
    """

    items: tuple[tuple[Question, str], ...]
    skipped: tuple[Problem, ...] = ()
    other_splits: int = 0
    present: int = 0


def gather(
    sources: Sequence[str],
    *,
    limit: int | None = None,
    split: str | None = "validation",
    data: Path | None = None,
    on_error: OnError = "stop",
    present: Sequence[Question] = (),
) -> Gathered:
    """Read and check the questions of several sources.

    Args:
        sources: questions files and names of benchmarks.
        limit: most questions of each source: the first of a file, and of a benchmark a random sample, always the same.
        split: only the questions of this split; None for all.
        data: folder with the benchmarks' data; without it they come from the public hub.
        on_error: whether a line that cannot be used stops everything or is left out.
        present: questions that the bank holds already.

    Raises:
        QuestionError: a source cannot be read, a line cannot be used, or nothing is left.
        UnknownNameError: no such benchmark.
    """
    problems: list[Problem] = []
    chosen: list[SourceQuestion] = []
    known = {q.id: q for q in present}
    other_splits = here_already = 0
    for source in sources:
        questions, bad = _read(source, split, limit, data)
        wanted = [q for q in questions if split is None or q.split == split]
        other_splits += len(questions) - len(wanted)
        good, ungradable = check_gradable(wanted)
        problems += [*bad, *ungradable]
        new = [q for q in good[:limit] if known.get(q.question.id) != q.question]
        here_already += len(good[:limit]) - len(new)
        chosen += new
    chosen, taken = check_ids(chosen, dict.fromkeys(known, "another question in the bank"))
    problems = sorted([*problems, *taken], key=lambda problem: problem.place)
    if problems and on_error == "stop":
        raise problems_error(problems)
    if not chosen and not here_already:
        raise QuestionError(_nothing(sources, split, other_splits, problems))
    return Gathered(tuple((s.question, s.split) for s in chosen), tuple(problems), other_splits, here_already)


def _read(
    source: str, split: str | None, limit: int | None, data: Path | None
) -> tuple[list[SourceQuestion], list[Problem]]:
    if source.endswith(SUFFIXES) or "/" in source or Path(source).exists():
        return read_questions(Path(source))
    benchmark: Benchmark = registry.find("benchmarks", source).create()
    place = Hub() if data is None else LocalFolder(data)
    found: list[SourceQuestion] = []
    for part in benchmark.splits if split is None else [split]:
        questions = _sample(benchmark.load(part, place), limit)
        found += [SourceQuestion(q, part, f"{source}, question {q.id}") for q in questions]
    return found, []


def _sample(questions: list[Question], limit: int | None) -> list[Question]:
    """At most so many, by chance but always the same, in their order: the first ones are of one subject."""
    if limit is None or limit >= len(questions):
        return questions
    chosen = sorted(questions, key=lambda q: hashlib.sha256(q.id.encode()).digest())[:limit]
    ids = {q.id for q in chosen}
    return [q for q in questions if q.id in ids]


def _nothing(sources: Sequence[str], split: str | None, other_splits: int, problems: Sequence[Problem]) -> str:
    where = ", ".join(sources)
    if problems:
        return f"no line of {where} can be used; the first problem is {problems[0]}"
    if other_splits:
        return f"{where} holds {other_splits} questions, but none of split {split!r}; --split all takes every one"
    return f"{where} holds no questions"
