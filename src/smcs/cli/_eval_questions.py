"""The questions that strategies are compared on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from smcs import registry
from smcs.bank.questions_file import OnError
from smcs.bank.sources import gather
from smcs.benchmarks._base import Benchmark, Hub, LocalFolder
from smcs.errors import QuestionError
from smcs.types import Question


def tested_questions(
    benchmarks: Sequence[str], files: Sequence[str], split: str | None, on_error: OnError, data: Path | None
) -> list[Question]:
    """The questions of benchmarks and files; says which lines were left out.

    Raises:
        UsageError: none is named, or one cannot be read.
    """
    names = [name.strip() for part in benchmarks for name in part.split(",") if name.strip()]
    if not names and not files:
        raise click.UsageError("no questions: name a --benchmark or a file of --questions")
    questions: list[Question] = []
    source = Hub() if data is None else LocalFolder(data)
    for name in dict.fromkeys(names):
        benchmark: Benchmark = registry.find("benchmarks", name).create()
        questions += benchmark.load(split or "test", source)
    if files:
        found = gather(list(files), split=split, on_error=on_error)
        for problem in found.skipped:
            click.echo(f"left out: {problem}", err=True)
        questions += [question for question, _ in found.items]
    seen: set[tuple[str, str]] = set()
    for question in questions:
        if (question.benchmark, question.id) in seen:
            raise QuestionError(f"the question {question.id!r} of {question.benchmark!r} is there twice")
        seen.add((question.benchmark, question.id))
    return questions
