"""How an evaluation goes on, and what it came to."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from smcs.types import Completion, Failure, Grade

Stop: TypeAlias = Literal["", "budget", "failing"]
_WINDOW = 256


@dataclass(frozen=True, slots=True)
class LLMProgress:
    """Where one LLM is. Counts are of this run, except `answered_before`.

    Attributes:
        total: questions that this run covers.
        answered_before: those that had a response before it.
        reused: those answered by a stored call, at no cost.
        answered: those answered by a call, and stored.
        failed: those whose call failed for good, by the kind of failure.
        running: calls under way.
        loading: whether it is being fetched or loaded.
        completion_tokens: generated, those of running calls included.
        cost_usd: None where the price is not known.
        cut_off: answers that the token limit ended.
        graded: responses graded in this run, earlier ones included.
        correct: those of them that are correct.
        not_gradable: those that cannot be graded.
        rate: questions a second, lately; None before there is one.
        stopped: why no more calls are made although some are left; `detail` says more.
    """

    name: str
    total: int
    answered_before: int = 0
    reused: int = 0
    answered: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    running: int = 0
    loading: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    cut_off: int = 0
    graded: int = 0
    correct: int = 0
    not_gradable: int = 0
    rate: float | None = None
    stopped: Stop = ""
    detail: str = ""

    @property
    def failures(self) -> int:
        """Questions whose call failed."""
        return sum(self.failed.values())

    @property
    def left(self) -> int:
        """Questions that neither have a response nor failed."""
        return self.total - self.answered_before - self.reused - self.answered - self.failures

    @property
    def eta_s(self) -> float | None:
        """Seconds until this LLM is done, at its present rate."""
        return self.left / self.rate if self.rate and not self.stopped else None


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """Where an evaluation is; at its end, what it came to.

    Attributes:
        ungraded: responses that wait for a grade.
        regraded: earlier responses that got a new grade without a call.
        notes: what the user should know.
        seconds: since it began.
    """

    llms: tuple[LLMProgress, ...]
    ungraded: int = 0
    regraded: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every question has a response of every LLM."""
        return all(llm.left == 0 and llm.failures == 0 for llm in self.llms)

    @property
    def failures(self) -> int:
        """Questions whose call failed."""
        return sum(llm.failures for llm in self.llms)

    @property
    def answered(self) -> int:
        """Questions answered by a call."""
        return sum(llm.answered for llm in self.llms)

    @property
    def cost_usd(self) -> float | None:
        """None where some price is not known."""
        costs = [llm.cost_usd for llm in self.llms]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def eta_s(self) -> float | None:
        """Seconds until all is done: the LLMs work side by side, so those of the slowest."""
        etas = [llm.eta_s for llm in self.llms if llm.left and not llm.stopped]
        return None if None in etas else max((eta for eta in etas if eta is not None), default=0.0)


EvaluationReport: TypeAlias = EvaluationProgress
"""What an evaluation came to is where it was when it ended."""


class Tally:
    """Counts for one LLM while the evaluation runs."""

    def __init__(self, name: str, *, total: int, answered_before: int) -> None:
        self.name = name
        self._total = total
        self._before = answered_before
        self._failed: Counter[str] = Counter()
        self._live: dict[int, int] = {}
        self._stored_at: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._loading = 0
        self.reused = self.answered = self.cut_off = 0
        self.graded = self.correct = self.not_gradable = 0
        self._prompt_tokens = self._completion_tokens = 0
        self._cost: float | None = 0.0
        self.stopped: Stop = ""
        self.detail = ""

    def begin(self, call: int) -> None:
        """A call begins."""
        self._live[call] = 0
        if not self._stored_at:
            self._stored_at.append((time.monotonic(), 0))

    def tokens(self, call: int, tokens: int) -> None:
        """A call has generated so much so far."""
        if call in self._live:
            self._live[call] = tokens

    def loading(self, on: bool) -> None:
        """The LLM is being loaded, or no longer."""
        self._loading += 1 if on else -1

    def end(self, call: int) -> None:
        """A call is over."""
        self._live.pop(call, None)

    def spent(self, completion: Completion) -> None:
        """A call was answered."""
        self._prompt_tokens += completion.prompt_tokens
        self._completion_tokens += completion.completion_tokens
        known = self._cost is not None and completion.cost_usd is not None
        self._cost = (self._cost or 0.0) + (completion.cost_usd or 0.0) if known else None
        self.cut_off += completion.finish_reason == "length"

    def stored(self, questions: int) -> None:
        """Responses are safe."""
        self.answered += questions
        self._stored_at.append((time.monotonic(), self.answered))

    def grade(self, grade: Grade) -> None:
        """A response has its grade."""
        self.graded += grade.correct is not None
        self.correct += bool(grade.correct)
        self.not_gradable += grade.correct is None

    def failure(self, failure: Failure, questions: int) -> None:
        """A call failed for good."""
        self._failed[failure.kind] += questions

    def snapshot(self) -> LLMProgress:
        """Where it is."""
        return LLMProgress(
            name=self.name,
            total=self._total,
            answered_before=self._before,
            reused=self.reused,
            answered=self.answered,
            failed=dict(self._failed),
            running=len(self._live),
            loading=self._loading > 0,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens + sum(self._live.values()),
            cost_usd=self._cost,
            cut_off=self.cut_off,
            graded=self.graded,
            correct=self.correct,
            not_gradable=self.not_gradable,
            rate=self._rate(),
            stopped=self.stopped,
            detail=self.detail,
        )

    def _rate(self) -> float | None:
        if len(self._stored_at) < 2:
            return None
        (begin, first), (_, last) = self._stored_at[0], self._stored_at[-1]
        return (last - first) / max(time.monotonic() - begin, 1e-6)
