"""Which recorded benchmarks are studied together: those whose LLMs are the same, with one bank and one pool."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.bank.recorded import Recorded, join, read_recorded
from smcs.errors import QuestionError
from smcs.experiments.embedding import embed_cached
from smcs.experiments.replay import Arena
from smcs.types import EmbedderInfo

IntArray = NDArray[np.int64]
_LEAST_IN_COMMON = 2


@dataclass(frozen=True, slots=True)
class Splits:
    """Which questions are the bank and which are asked."""

    bank: str = "validation"
    test: str = "test"


@dataclass(frozen=True, slots=True)
class Group:
    """Benchmarks with the same LLMs.

    Attributes:
        recorded: all questions of the benchmarks, with the answers of all LLMs that they have in common.
        pool: the LLMs that are selected from and vote, in the order of `recorded`.
        embeddings: array of shape (N, d), of all questions.
        bank: positions of the bank's questions.
        test: positions of the test questions, answered by the whole pool.
        left_out: test questions that some LLM of the pool has not answered.
    """

    recorded: Recorded
    pool: tuple[str, ...]
    embeddings: NDArray[Any]
    bank: IntArray
    test: IntArray
    left_out: int = 0
    _whole: list[Arena] = field(default_factory=list)

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks with test questions."""
        return self.recorded.with_questions(self.test).benchmarks

    @property
    def name(self) -> str:
        """For headings: the benchmarks."""
        return "+".join(self.recorded.benchmarks)

    def arena(self, bank: IntArray | None = None, test: IntArray | None = None) -> Arena:
        """Some of the bank's and the test's questions; all where not named, and then what it has computed is kept."""
        if bank is None and test is None:
            if not self._whole:
                self._whole.append(self._arena(self.bank, self.test))
            return self._whole[0]
        return self._arena(self.bank if bank is None else bank, self.test if test is None else test)

    def _arena(self, bank: IntArray, test: IntArray) -> Arena:
        return Arena(
            self.recorded.with_questions(bank),
            self.recorded.with_questions(test),
            self.embeddings[bank],
            self.embeddings[test],
        )

    def strongest_first(self) -> list[str]:
        """The pool by accuracy on the bank."""
        at = [self.recorded.llms.index(name) for name in self.pool]
        correct, seen = self.recorded.correct[at][:, self.bank], self.recorded.observed[at][:, self.bank]
        accuracy = (correct & seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        return [self.pool[i] for i in np.argsort(-accuracy, kind="stable")]


def joined(parts: Sequence[Recorded], llms: Sequence[str] | None = None) -> list[tuple[Recorded, tuple[str, ...]]]:
    """Join benchmarks that have at least half of the smaller's LLMs in common, and no fewer than two.

    Args:
        parts: recorded answers, one for each benchmark.
        llms: the pool; of each benchmark those that it has, and only they decide what is joined. All that a group has
            in common, where not named.

    Returns:
        Of each group the joined answers, outsiders to the pool included, and the pool.

    Raises:
        QuestionError: an LLM that no benchmark has, or a benchmark with fewer than two of them.
    """
    known = {llm for part in parts for llm in part.llms}
    unknown = [name for name in llms or () if name not in known]
    if unknown:
        raise QuestionError(f"no recorded answers of {', '.join(unknown)} (there are: {', '.join(sorted(known))})")
    groups: list[list[Recorded]] = []
    for part in parts:
        home = next((group for group in groups if _alike(join(group).llms, part.llms, llms)), None)
        if home is None:
            groups.append([part])
        else:
            home.append(part)
    return [_with_pool(join(group), llms) for group in groups]


def _with_pool(whole: Recorded, llms: Sequence[str] | None) -> tuple[Recorded, tuple[str, ...]]:
    pool = whole.llms if llms is None else tuple(dict.fromkeys(name for name in llms if name in whole.llms))
    if len(pool) < 2:
        there = ", ".join(whole.llms)
        of = "LLMs" if llms is None else "the named LLMs"
        raise QuestionError(
            f"{'+'.join(whole.benchmarks)} has recorded answers of {len(pool)} of {of}; at least two are needed "
            f"(it has: {there})"
        )
    return whole, pool


async def groups_of(
    sources: Sequence[tuple[Recorded, tuple[str, ...]]],
    embedder: str,
    splits: Splits = Splits(),
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Group], EmbedderInfo]:
    """Embed the questions and divide them into bank and test.

    Raises:
        QuestionError: a split without questions.
    """
    texts = [text for recorded, _ in sources for text in recorded.texts]
    vectors, info = await embed_cached(texts, embedder, report=report)
    groups, start = [], 0
    for recorded, pool in sources:
        stop = start + len(recorded.questions)
        groups.append(_group(recorded, pool, vectors[start:stop], splits))
        start = stop
    return groups, info


def shared_sources(folder: Path, llms: Sequence[str] | None = None) -> list[tuple[Recorded, tuple[str, ...]]]:
    """The recorded benchmarks of a folder like the project's: ``NAME_questions.jsonl.zst`` with ``NAME_matrix.npz``.

    Args:
        folder: the folder with ``recorded``, or that one itself.
        llms: the pool. Where not named, the fifteen that its ``summary.json`` lists, of benchmarks that have them; else
            all that there are.

    Raises:
        QuestionError: it is not such a folder, or see `joined`.
    """
    place = folder / "recorded" if (folder / "recorded").is_dir() else folder
    names = sorted(path.name.removesuffix("_matrix.npz") for path in place.glob("*_matrix.npz"))
    if not names:
        raise QuestionError(f"{place} has no NAME_matrix.npz with its NAME_questions.jsonl.zst")
    parts = read_recorded(
        [place / f"{name}_questions.jsonl.zst" for name in names],
        matrices=[place / f"{name}_matrix.npz" for name in names],
    )
    if llms is not None:
        return joined(parts, llms)
    fifteen = _listed(place / "summary.json")
    # Of the benchmarks that have these fifteen, they are the pool; of others, all that there are.
    return [
        (recorded, fifteen if fifteen and set(fifteen) <= set(recorded.llms) else pool)
        for recorded, pool in joined(parts)
    ]


def _listed(summary: Path) -> tuple[str, ...]:
    """The LLMs that a summary lists; none where there is no summary."""
    if not summary.exists():
        return ()
    try:
        listed = json.loads(summary.read_text(encoding="utf-8")).get("open15", [])
        return tuple(str(name) for name in listed)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise QuestionError(f"cannot read {summary}: {error}") from None


def _alike(one: Sequence[str], other: Sequence[str], pool: Sequence[str] | None) -> bool:
    a, b = (set(llms) if pool is None else set(llms) & set(pool) for llms in (one, other))
    common = len(a & b)
    return common >= _LEAST_IN_COMMON and 2 * common >= min(len(a), len(b))


def _group(recorded: Recorded, pool: tuple[str, ...], vectors: NDArray[Any], splits: Splits) -> Group:
    bank, test = recorded.of(split=splits.bank), recorded.of(split=splits.test)
    for name, what, positions in (("bank", splits.bank, bank), ("test", splits.test, test)):
        if not positions.size:
            there = ", ".join(sorted({question.split for question in recorded.questions}))
            raise QuestionError(f"{'+'.join(recorded.benchmarks)}: no {name} question of split {what!r} (has: {there})")
    at = [recorded.llms.index(name) for name in pool]
    answered = recorded.observed[at][:, test].all(axis=0)
    if not answered.any():
        raise QuestionError(f"{'+'.join(recorded.benchmarks)}: no test question was answered by the whole pool")
    return Group(recorded, pool, vectors, bank, test[answered], int((~answered).sum()))
