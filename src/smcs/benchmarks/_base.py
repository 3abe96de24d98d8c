"""What a benchmark must offer, and the form that all of ours have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from smcs import prompts
from smcs.benchmarks._hub import HubTable, hub_rows
from smcs.benchmarks._local import local_row, local_rows
from smcs.errors import QuestionError, UnknownNameError
from smcs.registry import did_you_mean
from smcs.types import Question


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """Questions in files of the local format (see ``docs/concepts/grading.md``).

    Attributes:
        path: the folder with the files, or the one above its ``benchmarks`` and ``recorded`` folders.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class Hub:
    """Questions from the public hub, each data set at a pinned revision.

    Attributes:
        cache_dir: where files are kept; None for the hub client's own folder.
    """

    cache_dir: Path | None = None


Source: TypeAlias = LocalFolder | Hub


class Benchmark(Protocol):
    """A set of questions with splits.

    A module of ``smcs.benchmarks`` has ``create() -> Benchmark``.
    """

    @property
    def name(self) -> str:
        """What questions and tables call it."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """Its splits; ``validation`` is what a question bank is made of."""
        ...

    @property
    def grader(self) -> str:
        """Name of the grader of its questions."""
        ...

    @property
    def prompt(self) -> str:
        """System prompt of its questions; empty for none."""
        ...

    def load(self, split: str, source: Source) -> list[Question]:
        """The questions of one split, always the same in the same order.

        Raises:
            UnknownNameError: no such split.
            QuestionError: the source is missing, cannot be reached or is not in the expected format.
        """
        ...


@dataclass(frozen=True)
class TableBenchmark:
    """A benchmark whose questions are rows of a file, local or on the hub.

    Attributes:
        prompt_file: file of its system prompt among the package's prompts; empty for none.
        sizes: number of questions of each split.
        aliases: other names that the local format knows it by.
        tables: the hub's files and how their rows become questions.
    """

    name: str
    grader: str
    prompt_file: str
    sizes: Mapping[str, int]
    tables: tuple[HubTable, ...]
    aliases: tuple[str, ...] = ()
    splits: tuple[str, ...] = field(default=("validation", "test"))

    @property
    def prompt(self) -> str:
        """System prompt of its questions; empty for none."""
        return prompts.load(f"benchmarks/{self.prompt_file}") if self.prompt_file else ""

    def load(self, split: str, source: Source) -> list[Question]:
        """The questions of one split, always the same in the same order.

        Args:
            split: ``validation`` or ``test``.
            source: a local folder or the hub; both give the same questions.

        Raises:
            UnknownNameError: no such split.
            QuestionError: the source is missing, cannot be reached or is not in the expected format.
        """
        if split not in self.splits:
            known = did_you_mean(split, list(self.splits))
            raise UnknownNameError(f"benchmark {self.name!r} has no split {split!r}{known}")
        questions = [self._question(row) for row in self._rows(split, source) if row["split"] == split]
        if not questions:
            where = source.path if isinstance(source, LocalFolder) else "the hub's data set"
            raise QuestionError(f"no question of split {split!r} of benchmark {self.name!r} in {where}")
        return questions

    def parse(self, line: bytes, where: str) -> tuple[Question, str]:
        """One line of the local format: the question and its split.

        Args:
            where: what messages begin with.

        Raises:
            QuestionError: it is not of the format, or of another benchmark.
        """
        row = local_row(line, where, (self.name, *self.aliases))
        return self._question(row), row["split"]

    def _rows(self, split: str, source: Source) -> Iterable[Mapping[str, Any]]:
        if isinstance(source, LocalFolder):
            return local_rows(source.path, (self.name, *self.aliases))
        return hub_rows(self.name, self.tables, split, source.cache_dir)

    def _question(self, row: Mapping[str, Any]) -> Question:
        options = row["options"]
        return Question(
            id=row["id"],
            text=row["question"],
            answer=row["answer"],
            grader=self.grader,
            benchmark=self.name,
            system=self.prompt,
            options=None if options is None else tuple(options),
            meta={**row["meta"], "split": row["split"]},
        )
