"""One run of an evaluation: every strategy answers every question from every seed; answers are stored and graded."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from smcs.bank.grading import Graders, GradingPool, ToGrade
from smcs.errors import CallError, NoAnswerError, QuestionError
from smcs.evaluation.progress import EvaluationProgress, Tally
from smcs.evaluation.setup import Setup, question_content, question_digest
from smcs.evaluation.shared import SharedCalls
from smcs.evaluation.store import AnswerKey, ResultsStore, StoredAnswer
from smcs.strategies import call_seed
from smcs.types import Answer, Grade, Question, Trace, trace_to_dict

Watcher: TypeAlias = Callable[[EvaluationProgress], None]
"""Told of the progress a few times a second, in the event loop."""
_TICK_S = 0.2
_MOST_IN_GRADING = 2000
_LEFT_OUT = frozenset({"cancelled", "not_needed"})
_NOT_BETTER_NEXT_TIME = _LEFT_OUT | {"context_length", "no_references"}
CHAIN = "longest chain of calls"


@dataclass(frozen=True, slots=True)
class Tested:
    """A question that is tested, with the hash of its content."""

    question: Question
    digest: str

    @classmethod
    def of(cls, questions: Iterable[Question]) -> list[Tested]:
        """Questions with their hashes."""
        return [cls(question, question_digest(question)) for question in questions]


def in_order(questions: Sequence[Question], limit: int | None = None) -> list[Question]:
    """At most so many questions of each benchmark, in an order that is random but always the same.

    A larger limit keeps the questions of a smaller one, and a run that is stopped early has seen a fair sample of each
    benchmark.
    """

    def place(question: Question) -> bytes:
        return hashlib.sha256(f"{question.benchmark}\x1f{question.id}\x1f{question.text}".encode()).digest()

    by_benchmark: dict[str, list[Question]] = {}
    for question in sorted(questions, key=place):
        by_benchmark.setdefault(question.benchmark, []).append(question)
    ranked = [
        ((i + 0.5) / len(part[:limit]), question)
        for part in by_benchmark.values()
        for i, question in enumerate(part[:limit])
    ]
    return [question for _, question in sorted(ranked, key=lambda item: (item[0], item[1].benchmark))]


class EvaluationRun:
    """Carries out an evaluation. Used once.

    Args:
        calls: the shared calls, with the store and the tally.
        setups: the strategies, built over the shared calls' pool.
        tested: the questions.
        seeds: how many seeds; each is a repetition of everything.
        watch: told how it goes on.
        concurrency: questions that are worked on at once.
        sandbox: name of the sandbox for graders that run programs (see `smcs.sandbox.choose`).
    """

    def __init__(
        self,
        calls: SharedCalls,
        setups: Sequence[Setup],
        tested: Sequence[Tested],
        *,
        seeds: int = 1,
        watch: Watcher = lambda _: None,
        concurrency: int = 8,
        sandbox: str = "auto",
    ) -> None:
        self._sandbox = sandbox
        self._store: ResultsStore = calls.store
        self._setups = setups
        self._tested = {t.digest: t for t in tested}
        self._seeds = seeds
        self._calls = calls
        self._tally: Tally = calls.tally
        self._watch = watch
        self._concurrency = concurrency
        self._graders = Graders()
        self._labels = {setup.digest: setup.label for setup in setups}
        self._grades: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        calls.stop = self._halt

    async def run(self) -> EvaluationProgress:
        """Do what is left to do.

        Raises:
            UsageError: a strategy cannot work with what it was given.
            ResultsError: the results cannot be written.
        """
        work, waiting = await self._prepare()
        ticking = asyncio.create_task(self._tick())
        try:
            grading = GradingPool(self._graded, postponed=self._postponed, sandbox=self._sandbox)
            async with grading as self._grading:
                for answer in waiting:
                    self._grade(answer)
                await self._work(work)
                await self._grading.join()
                while self._grades:
                    await asyncio.gather(*self._grades)
        finally:
            ticking.cancel()
            await self._calls.aclose()
            self._watch(self._tally.snapshot())
        return self._tally.snapshot()

    async def _prepare(self) -> tuple[list[tuple[Tested, int, list[Setup]]], list[StoredAnswer]]:
        """What is left to answer, question by question, and which answers wait for a grade."""
        await self._store.put_setups([(s.digest, s.label, s.description) for s in self._setups])
        await self._store.put_questions(
            [
                (t.digest, t.question.id, t.question.benchmark, t.question.grader, question_content(t.question))
                for t in self._tested.values()
            ]
        )
        done: dict[str, set[tuple[str, int]]] = {}
        waiting: list[StoredAnswer] = []
        total = len(self._tested) * self._seeds
        for setup in self._setups:
            ours = {
                key: answer
                for key, answer in (await self._store.answers(setup.digest)).items()
                if key[0] in self._tested and key[1] < self._seeds
            }
            kept = {key: answer for key, answer in ours.items() if not answer.again}
            done[setup.digest] = set(kept)
            self._tally.strategy(setup.label, total, len(kept))
            for answer in kept.values():
                if self._is_graded(answer):
                    self._tally.graded(setup.label, answer.correct)
                elif answer.text is not None:
                    waiting.append(answer)
        work = [
            (tested, seed, missing)
            for tested in self._tested.values()
            for seed in range(self._seeds)
            if (missing := [s for s in self._setups if (tested.digest, seed) not in done[s.digest]])
        ]
        # Seed by seed: a run that is stopped early has every question once before any twice.
        return sorted(work, key=lambda item: item[1]), waiting

    def _is_graded(self, answer: StoredAnswer) -> bool:
        grader = self._tested[answer.key.question].question.grader
        return answer.grader == grader and answer.version == self._graders.version(grader)

    async def _work(self, work: Sequence[tuple[Tested, int, list[Setup]]]) -> None:
        """Answer all, or until the run is stopped; the first error ends it."""
        items = iter(work)

        async def worker() -> None:
            for tested, seed, setups in items:
                async with asyncio.TaskGroup() as group:
                    for setup in setups:
                        group.create_task(self._answer(setup, tested, seed))

        workers = [asyncio.create_task(worker()) for _ in range(min(self._concurrency, len(work)))]
        stopping = asyncio.create_task(self._stop.wait())
        pending: set[asyncio.Task[object]] = {*workers}
        try:
            while pending and not self._stop.is_set():
                done, _ = await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    with _unwrapped():
                        task.result()
                pending -= done
        finally:
            for task in (*workers, stopping):
                task.cancel()
            await asyncio.gather(*workers, stopping, return_exceptions=True)

    async def _answer(self, setup: Setup, tested: Tested, seed: int) -> None:
        """Have one strategy answer one question, and store what it says."""
        key = AnswerKey(setup.digest, tested.digest, seed)
        unlabelled = dataclasses.replace(tested.question, answer=None)
        try:
            answer = await setup.strategy.answer(unlabelled, seed=answer_seed(seed, tested.question))
        except NoAnswerError as error:
            stored = _failed(key, str(error), error.trace)
        except (QuestionError, CallError) as error:
            stored = _failed(key, str(error), None)
        else:
            stored = _answered(key, answer)
        await self._store.put_answer(stored)
        self._tally.answered(setup.label, ok=stored.text is not None)
        if stored.text is not None:
            self._grade(stored)
            await self._grading.room(_MOST_IN_GRADING)

    def _grade(self, answer: StoredAnswer) -> None:
        self._tally.ungraded += 1
        self._grading.put(ToGrade(answer.key, answer.text or "", self._tested[answer.key.question].question))

    def _graded(self, item: ToGrade, grade: Grade) -> None:
        key: AnswerKey = item.tag
        self._tally.ungraded -= 1
        self._tally.graded(self._labels[key.setup], grade.correct)
        grader = item.question.grader
        storing = self._store.put_grade(key, grader, self._graders.version(grader) or "", grade)
        task = asyncio.ensure_future(storing)
        self._grades.add(task)
        task.add_done_callback(self._grades.discard)

    def _postponed(self, item: ToGrade, reason: str) -> None:
        """There is no sandbox here: the answer stays ungraded, for a run where there is one."""
        self._tally.ungraded -= 1
        self._tally.postponed(reason)

    def _halt(self, reason: str) -> None:
        self._tally.stopped = reason
        self._stop.set()

    async def _tick(self) -> None:
        while True:
            self._watch(self._tally.snapshot())
            await asyncio.sleep(_TICK_S)


def answer_seed(seed: int, question: Question) -> int:
    """The seed of one answer; the same for every strategy, so that the same reference is the same call."""
    return call_seed(seed, "question", question.benchmark, question.id, question.text)


def _answered(key: AnswerKey, answer: Answer) -> StoredAnswer:
    kinds = _failure_kinds(answer.trace)
    return StoredAnswer(
        key=key,
        text=answer.text,
        error=None,
        calls=answer.usage.calls,
        failed_calls=sum(kind not in _LEFT_OUT for kind in kinds),
        again=any(kind not in _NOT_BETTER_NEXT_TIME for kind in kinds),
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        cost_usd=answer.usage.cost_usd,
        latency_s=answer.trace.seconds.get(CHAIN, answer.seconds),
        trace=_packed(answer.trace),
    )


def _failed(key: AnswerKey, error: str, trace: Trace | None) -> StoredAnswer:
    kinds = _failure_kinds(trace) if trace else []
    return StoredAnswer(
        key=key,
        text=None,
        error=error,
        calls=0,
        failed_calls=sum(kind not in _LEFT_OUT for kind in kinds),
        again=True,
        prompt_tokens=0,
        completion_tokens=0,
        cost_usd=None,
        latency_s=0.0,
        trace=_packed(trace) if trace else b"",
    )


def _failure_kinds(trace: Trace) -> list[str]:
    failures = [r.failure for r in trace.referencers] + [a.failure for a in trace.aggregations]
    return [failure.kind for failure in failures if failure]


def _packed(trace: Trace) -> bytes:
    """A trace as compressed JSON. The support set's texts are in the bank, and are left out."""
    return zlib.compress(json.dumps(trace_to_dict(trace), ensure_ascii=False).encode("utf-8", "replace"), 6)


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise the first error of a group as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
