"""From a response that was chosen to the answer: what all strategies share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smcs.errors import BudgetError, DeadlineError, NoAnswerError
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Collected
from smcs.strategies._explore import Plan
from smcs.strategies._retrieve import Retrieval
from smcs.types import Aggregation, Answer, Completion, Failure, Reference, Scored, Trace

_WHY = {"deadline": "not in in time", "budget": "the limits leave no room"}


@dataclass(slots=True)
class Story:
    """What a trace is made of, gathered while a strategy works.

    Attributes:
        begin: when it began, by the monotonic clock.
        plan: referencers and subsets, where they were planned.
        substitutes: whether a reference may stand in for an aggregation; not where the asker wants what references were
            not asked for, such as JSON.
        prior: what LLMs are selected by where that is no retrieval, by name.
        steps: seconds of each step so far.
    """

    calls: Calls
    seed: int
    begin: float = field(default_factory=time.monotonic)
    retrieval: Retrieval | None = None
    plan: Plan | None = None
    prior: Mapping[str, float] = field(default_factory=dict)
    embedder: str = ""
    aggregator: str = ""
    substitutes: bool = True
    notes: list[str] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)

    def step(self, name: str) -> None:
        """A step is over."""
        self.steps[name] = time.monotonic() - self.begin - sum(self.steps.values())

    def trace(
        self,
        references: Sequence[Reference],
        aggregations: Sequence[Aggregation] = (),
        winner: int | None = None,
    ) -> Trace:
        """The trace."""
        retrieval = self.retrieval
        return Trace(
            embedder=self.embedder,
            aggregator=self.aggregator,
            support=retrieval.support if retrieval else (),
            prior=retrieval.by_name if retrieval else self.prior,
            fallbacks=retrieval.fallbacks if retrieval else {},
            referencers=tuple(references),
            aggregations=tuple(aggregations),
            subsets=self.plan.subsets if self.plan else tuple(a.subset for a in aggregations),
            drop_distribution=self.plan.distribution if self.plan else (),
            winner=winner,
            notes=tuple(self.notes),
            cuts=(*self.calls.ledger.cuts, *_left_out(references, aggregations)),
            seconds={**self.steps, "longest chain of calls": self.calls.longest_chain},
        )

    def answer(self, trace: Trace, *choices: Completion) -> Answer:
        """The answer: the first choice."""
        return Answer(choices[0].text, self.seed, time.monotonic() - self.begin, self.calls.usage, trace, choices)

    def of_reference(
        self, references: Sequence[Reference], *ranked: int, aggregations: Sequence[Aggregation] = ()
    ) -> Answer:
        """A reference is the answer: the first of the ranked ones. Those that failed are left out."""
        present = [references[i].completion for i in ranked]
        return self.answer(self.trace(references, aggregations), *(c for c in present if c is not None))

    def of_aggregation(self, references: Sequence[Reference], aggregations: Sequence[Aggregation]) -> Answer:
        """The last aggregation is the answer; where limits kept it out, the best that is there.

        Raises:
            NoAnswerError: it failed.
        """
        last = aggregations[-1]
        if last.completion is None:
            return self.without_aggregation(references, aggregations)
        self.calls.observe(Scored(tuple(aggregations), len(aggregations) - 1))
        return self.answer(self.trace(references, aggregations, len(aggregations) - 1), last.completion)

    def without_aggregation(self, references: Sequence[Reference], aggregations: Sequence[Aggregation]) -> Answer:
        """No aggregation that could be the answer is there: where limits are set, the best reference is it.

        Raises:
            NoAnswerError: there is no reference, or nothing was limited: then it is the LLMs that failed.
        """
        first = self.first(references)
        if first is None or not self.calls.ledger.limited or (aggregations and not self.substitutes):
            raise no_answer(_why_no_answer(references, aggregations), self.trace(references, aggregations))
        self.calls.ledger.cut(f"the answer is {references[first].llm}'s reference: no aggregation is in")
        return self.of_reference(references, first, aggregations=aggregations)

    def require(self, collected: Collected) -> None:
        """Check that some reference is there.

        Raises:
            NoAnswerError: every one failed.
        """
        if self.first(collected.references) is None:
            message = _why_no_answer(collected.references, ())
            raise no_answer(message, self.trace(collected.references))

    @staticmethod
    def first(references: Sequence[Reference]) -> int | None:
        """Index of the first reference that is there, which is the best by the prior; None where there is none."""
        return next((i for i, reference in enumerate(references) if reference.completion), None)


def no_answer(message: str, trace: Trace) -> NoAnswerError:
    """The error for an answer that there is not, by what kept it from being there."""
    failures = [r.failure for r in trace.referencers] + [a.failure for a in trace.aggregations]
    kinds = {failure.kind for failure in failures if failure}
    if "deadline" in kinds:
        return DeadlineError(message, trace)
    return BudgetError(message, trace) if "budget" in kinds else NoAnswerError(message, trace)


def _left_out(references: Sequence[Reference], aggregations: Sequence[Aggregation]) -> list[str]:
    """What the limits ended or forbade, in words."""
    words = []
    for kind, why in _WHY.items():
        names = [r.llm for r in references if r.failure and r.failure.kind == kind]
        if names:
            words.append(f"left out, {why}: {', '.join(names)}")
        count = sum(a.failure is not None and a.failure.kind == kind for a in aggregations)
        if count:
            words.append(f"{count} of {len(aggregations)} aggregations left out: {why}")
    return words


def _why_no_answer(references: Sequence[Reference], aggregations: Sequence[Aggregation]) -> str:
    failed = [r.failure for r in references if r.failure]
    if len(failed) == len(references):
        if not failed:
            return "no LLM was asked"
        who = "referencer" if aggregations else "LLM"
        which = f"the {who} failed" if len(failed) == 1 else f"every {who} failed; the first"
        return f"{which}: {_said(failed[0])}"
    lost = [a.failure for a in aggregations if a.failure]
    which = "the aggregation failed" if len(lost) == 1 else "every aggregation failed; the first"
    return f"{which}: {_said(lost[0])}"


def _said(failure: Failure) -> str:
    return f"{failure.llm}: {failure.message}"
