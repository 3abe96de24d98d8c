"""How an evaluation goes on, and what it came to."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smcs.pool import Result
from smcs.types import Completion, Failure

_WINDOW = 256


@dataclass(frozen=True, slots=True)
class StrategyProgress:
    """Where one strategy is.

    Attributes:
        total: answers that it is to give: questions times seeds.
        before: those that were there before this run.
        answered: those given in this run.
        failed: those that could not be given in this run.
        correct: of all graded ones, how many are correct.
    """

    label: str
    total: int
    before: int = 0
    answered: int = 0
    failed: int = 0
    graded: int = 0
    correct: int = 0

    @property
    def left(self) -> int:
        """Answers that are still to be given."""
        return self.total - self.before - self.answered - self.failed


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """Where an evaluation is. Counts of calls are of this run.

    Attributes:
        calls: samples that were asked for.
        reused: samples that were there already, or on their way for another strategy.
        failures: samples that failed for good, by LLM and kind.
        running: requests under way, by LLM.
        ungraded: answers that wait for their grade.
        postponed: answers that cannot be graded here; `why_postponed` says why.
        cost_usd: None where a price is not known.
        rate: answers a second, lately; None before there is one.
        stopped: why the run ended early; empty where it did not.
    """

    strategies: tuple[StrategyProgress, ...]
    calls: int = 0
    reused: int = 0
    failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    ungraded: int = 0
    postponed: int = 0
    why_postponed: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    rate: float | None = None
    stopped: str = ""

    @property
    def left(self) -> int:
        """Answers that are still to be given."""
        return sum(strategy.left for strategy in self.strategies)

    @property
    def failed(self) -> int:
        """Answers that could not be given."""
        return sum(strategy.failed for strategy in self.strategies)

    @property
    def complete(self) -> bool:
        """Whether every answer is there."""
        return self.left == 0 and self.failed == 0

    @property
    def eta_s(self) -> float | None:
        """Seconds until all is done, at the present rate."""
        return self.left / self.rate if self.rate and not self.stopped else None


class Tally:
    """Counts while an evaluation runs."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._totals: dict[str, Counter[str]] = {}
        self._calls = self._reused = self._prompt = self._completion = self.ungraded = 0
        self._cost: float | None = 0.0
        self._failures: Counter[tuple[str, str]] = Counter()
        self._running: Counter[str] = Counter()
        self._answers_at: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._answers = 0
        self.stopped = ""
        self._postponed, self._why_postponed = 0, ""

    def strategy(self, label: str, total: int, before: int) -> None:
        """A strategy takes part."""
        self._totals[label] = Counter(total=total, before=before)

    def answered(self, label: str, *, ok: bool) -> None:
        """A strategy has given an answer, or could not."""
        self._totals[label]["answered" if ok else "failed"] += 1
        self._answers += 1
        self._answers_at.append((time.monotonic(), self._answers))

    def graded(self, label: str, correct: bool | None) -> None:
        """An answer has its grade."""
        self._totals[label]["graded"] += correct is not None
        self._totals[label]["correct"] += bool(correct)

    def postponed(self, reason: str) -> None:
        """An answer cannot be graded here."""
        self._postponed += 1
        self._why_postponed = reason

    def reused(self, samples: int) -> None:
        """Samples were there already, or on their way for another strategy."""
        self._reused += samples

    def begin(self, llm: str) -> None:
        """A request begins."""
        self._running[llm] += 1

    def end(self, llm: str) -> None:
        """A request is over."""
        self._running[llm] -= 1

    def made(self, llm: str, results: Sequence[Result]) -> None:
        """A request was answered, or failed."""
        for result in results:
            if isinstance(result, Failure):
                self._failures[llm, result.kind] += 1
            elif isinstance(result, Completion):
                self._calls += 1
                self._prompt += result.prompt_tokens
                self._completion += result.completion_tokens
                known = self._cost is not None and result.cost_usd is not None
                self._cost = (self._cost or 0.0) + (result.cost_usd or 0.0) if known else None

    def snapshot(self) -> EvaluationProgress:
        """Where it is."""
        return EvaluationProgress(
            strategies=tuple(StrategyProgress(label, **counts) for label, counts in self._totals.items()),
            calls=self._calls,
            reused=self._reused,
            failures=dict(self._failures),
            running={llm: count for llm, count in self._running.items() if count},
            ungraded=self.ungraded,
            postponed=self._postponed,
            why_postponed=self._why_postponed,
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            cost_usd=self._cost,
            seconds=time.monotonic() - self._begin,
            rate=self._rate(),
            stopped=self.stopped,
        )

    def _rate(self) -> float | None:
        if len(self._answers_at) < 2:
            return None
        (begin, first), (_, last) = self._answers_at[0], self._answers_at[-1]
        return (last - first) / max(time.monotonic() - begin, 1e-6)
