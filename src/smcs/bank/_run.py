"""One run of an evaluation: the calls, what becomes of their answers, and when it stops."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

from smcs.bank._asking import Asking
from smcs.bank.grading import Graders, GradingPool, ToGrade
from smcs.bank.plan import EvaluationPlan, LLMPlan, PlannedCall
from smcs.bank.progress import EvaluationProgress, EvaluationReport, Tally
from smcs.bank.records import Answered, Failed, Graded, Record, storable
from smcs.bank.regrade import Waiting, texts, waiting_for_grades
from smcs.bank.store import BankStore
from smcs.bank.writer import BankWriter, write_records, write_settings
from smcs.pool.budget import Budget
from smcs.prompts import reference_messages
from smcs.types import Completion, Failure, Grade, Message

Watcher = Callable[[EvaluationProgress], None]
"""Told of the progress a few times a second, in the event loop."""
_TICK_S = 0.2
_MOST_IN_GRADING = 2000
_CHUNK = 200


class Run:
    """Carries out a plan. Used once.

    Args:
        store: open for writing, and held for this run alone.
        plan: what to do.
        budget: what it may cost.
        watch: told how it goes on.
        grade_again: whether to grade anew what could not be graded before.
        one_by_one: whether one LLM begins when the one before it is done.
        sandbox: name of the sandbox for graders that run programs.
    """

    def __init__(
        self,
        store: BankStore,
        plan: EvaluationPlan,
        budget: Budget,
        watch: Watcher,
        *,
        grade_again: bool = False,
        one_by_one: bool = False,
        sandbox: str = "auto",
    ) -> None:
        self._store = store
        self._plan = plan
        self._budget = budget
        self._watch = watch
        self._grade_again = grade_again
        self._one_by_one = one_by_one
        self._sandbox = sandbox
        self._notes: dict[str, None] = {}
        self._graders = Graders()
        self._tallies: dict[int, Tally] = {}
        self._begin = time.monotonic()
        self._to_grade = self._done_grading = self._regraded = 0
        self._put_off = False

    async def run(self) -> EvaluationReport:
        """Do it all.

        Raises:
            BankError: the bank cannot be written.
        """
        stored_earlier = await asyncio.to_thread(self._prepare)
        ticking = asyncio.create_task(self._tick())
        try:
            grading = GradingPool(self._graded, postponed=self._postponed, sandbox=self._sandbox)
            async with BankWriter(self._store, self._stored) as self._writer, grading as self._grading:
                await self._work(stored_earlier)
        finally:
            ticking.cancel()
            ended = self.progress()
            self._watch(ended)
        self._writer.check()
        return ended

    def progress(self) -> EvaluationProgress:
        """Where the run is."""
        return EvaluationProgress(
            llms=tuple(tally.snapshot() for tally in self._tallies.values()),
            ungraded=self._to_grade - self._done_grading,
            regraded=self._regraded,
            notes=tuple(self._notes),
            seconds=time.monotonic() - self._begin,
        )

    def _prepare(self) -> list[Waiting]:
        """Enter the LLMs and their settings, and what stored calls answer; returns what waits for a grade."""
        for llm in self._plan.llms:
            stored = self._store.register(llm.caller.info)
            self._tallies[stored.seq] = tally = Tally(llm.name, total=llm.asked, answered_before=llm.answered)
            tally.reused = sum(len(record.questions) for record in llm.reused)
        with self._store.transaction() as connection:
            write_settings(connection, [llm.setting for llm in self._plan.llms])
            write_records(connection, [record for llm in self._plan.llms for record in llm.reused])
        return waiting_for_grades(self._store, self._graders, again=self._grade_again)

    async def _work(self, stored_earlier: Sequence[Waiting]) -> None:
        await self._until_error([self._grade_stored(stored_earlier), self._ask()])
        await self._until_error([self._grading.join()])
        if self._put_off:
            await self._until_error([self._writer.drained()])
            rest = await asyncio.to_thread(waiting_for_grades, self._store, self._graders)
            await self._until_error([self._grade_stored(rest)])
            await self._until_error([self._grading.join()])

    async def _ask(self) -> None:
        """Make all calls: the LLMs side by side, or one after the other."""
        work: list[list[Coroutine[Any, Any, None]]] = []
        for seq, llm in zip(self._tallies, self._plan.llms, strict=True):
            asking = Asking(
                llm,
                self._tallies[seq],
                self._budget,
                messages=self._messages,
                deliver=functools.partial(self._deliver, seq, llm),
            )
            work.append([asking.work() for _ in range(min(llm.caller.settings.max_concurrency, len(llm.calls)))])
        together = work if self._one_by_one else [[one for part in work for one in part]]
        for part in together:
            await self._until_error(part)

    async def _until_error(self, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Wait for all of it; the first error, there or in the writer, ends it all."""
        tasks = [asyncio.create_task(one) for one in [*work, self._writer.raise_failure()]]
        *ours, writing = tasks
        pending: set[asyncio.Task[None]] = set(ours)
        try:
            while pending:
                done, pending = await asyncio.wait([*pending, writing], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                pending.discard(writing)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _grade_stored(self, waiting: Sequence[Waiting]) -> None:
        self._regraded += len(waiting)
        self._to_grade += len(waiting)
        stream = texts(self._store, waiting)
        while chunk := await asyncio.to_thread(lambda: list(islice(stream, _CHUNK))):
            for (llm, question, key), text in chunk:
                self._grading.put(ToGrade((llm, question, key), text, self._plan.questions[question].question))
            await self._grading.room(_MOST_IN_GRADING)

    def _messages(self, call: PlannedCall) -> tuple[Message, ...]:
        question = self._plan.questions[call.questions[0]].question
        return reference_messages(question, system=self._plan.conditions.system)

    async def _deliver(self, seq: int, llm: LLMPlan, call: PlannedCall, result: Completion | Failure) -> None:
        """Store what became of a call, and have the answer graded."""
        if isinstance(result, Failure):
            await self._writer.write(Failed(seq, call.questions, result))
            return
        reasoning = None if result.reasoning is None else storable(result.reasoning)
        clean = dataclasses.replace(result, text=storable(result.text), reasoning=reasoning)
        # Nobody takes the next call before this is safe: a kill loses no more than what is under way.
        await self._writer.write(Answered(call.key, seq, call.questions, llm.setting.digest, clean))
        if self._grading.waiting > _MOST_IN_GRADING:
            self._put_off = True  # graded at the end, from the store: answers must not pile up in memory
            return
        self._to_grade += len(call.questions)
        for question in call.questions:
            tag = (seq, question, call.key)
            self._grading.put(ToGrade(tag, clean.text, self._plan.questions[question].question))

    def _graded(self, item: ToGrade, grade: Grade) -> None:
        llm, question, key = item.tag
        grader = item.question.grader
        version = self._graders.version(grader) or ""
        self._writer.put(Graded(key, llm, question, grader, version, grade))

    def _postponed(self, item: ToGrade, reason: str) -> None:
        self._notes[f"not graded yet ({item.question.grader}): {reason}"] = None

    def _stored(self, batch: Sequence[Record]) -> None:
        for record in batch:
            tally = self._tallies.get(record.llm)
            if isinstance(record, Graded):
                self._done_grading += 1
                if tally:
                    tally.grade(record.grade)
            elif tally and isinstance(record, Failed):
                tally.failure(record.failure, len(record.questions))
            elif tally and isinstance(record, Answered):
                tally.stored(len(record.questions))

    async def _tick(self) -> None:
        while True:
            self._watch(self.progress())
            await asyncio.sleep(_TICK_S)
