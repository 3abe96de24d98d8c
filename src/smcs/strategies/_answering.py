"""From a response that was chosen to the answer: what all strategies that choose among responses share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smcs.errors import NoAnswerError
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Collected
from smcs.strategies._retrieve import Retrieval
from smcs.types import Aggregation, Answer, Completion, Reference, Scored, Trace


@dataclass(slots=True)
class Story:
    """What a trace is made of, gathered while a strategy works.

    Attributes:
        begin: when it began, by the monotonic clock.
        steps: seconds of each step so far.
    """

    calls: Calls
    seed: int
    begin: float = field(default_factory=time.monotonic)
    retrieval: Retrieval | None = None
    embedder: str = ""
    aggregator: str = ""
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
        prior: Mapping[str, float] | None = None,
    ) -> Trace:
        """The trace."""
        retrieval = self.retrieval
        return Trace(
            embedder=self.embedder,
            aggregator=self.aggregator,
            support=retrieval.support if retrieval else (),
            prior=retrieval.by_name if retrieval else dict(prior or {}),
            fallbacks=retrieval.fallbacks if retrieval else {},
            referencers=tuple(references),
            aggregations=tuple(aggregations),
            subsets=tuple(a.subset for a in aggregations),
            winner=winner,
            notes=tuple(self.notes),
            seconds={**self.steps, "longest chain of calls": self.calls.longest_chain},
        )

    def answer(self, trace: Trace, *choices: Completion) -> Answer:
        """The answer: the first choice."""
        return Answer(choices[0].text, self.seed, time.monotonic() - self.begin, self.calls.usage, trace, choices)

    def of_reference(self, collected: Collected, *ranked: int) -> Answer:
        """A reference is the answer: the first of the ranked ones. Those that failed are left out."""
        present = [collected.references[i].completion for i in ranked]
        return self.answer(self.trace(collected.references), *(c for c in present if c is not None))

    def of_aggregation(self, references: Sequence[Reference], aggregations: Sequence[Aggregation]) -> Answer:
        """The last aggregation is the answer.

        Raises:
            NoAnswerError: it failed.
        """
        last = aggregations[-1]
        if last.completion is None:
            assert last.failure is not None
            message = f"the aggregation failed: {last.failure.llm}: {last.failure.message}"
            raise NoAnswerError(message, self.trace(references, aggregations))
        self.calls.observe(Scored(tuple(aggregations), len(aggregations) - 1))
        return self.answer(self.trace(references, aggregations, len(aggregations) - 1), last.completion)

    def require(self, collected: Collected) -> None:
        """Check that some reference is there.

        Raises:
            NoAnswerError: every one failed.
        """
        failures = [r.failure for r in collected.references if r.failure]
        if len(failures) == len(collected.references):
            which = "the LLM failed" if len(failures) == 1 else "every LLM failed; the first"
            message = f"{which}: {failures[0].llm}: {failures[0].message}" if failures else "no LLM was asked"
            raise NoAnswerError(message, self.trace(collected.references))
