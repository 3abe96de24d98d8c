"""From what happens while a request is answered to its trace, its metrics and its spans: one watcher for all three."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from smcs.errors import NoAnswerError, SmcsError
from smcs.pool.outcomes import failure_of
from smcs.server.asked import as_record
from smcs.server.house import House
from smcs.server.service import Ask, Outcome
from smcs.server.trace_record import Record
from smcs.server.traces import TracesError, TraceStore
from smcs.strategies import StrategySpec, parse_specs
from smcs.types import Aggregation, CallUpdate, Event, LLMInfo, Reference, TotalUsage, Trace, trace_to_dict

log = logging.getLogger(__name__)

MOST_SUPPORT = 100
"""Questions of the support set that a record keeps: it may hold hundreds, and a record is kept of every request."""


@dataclass(eq=False, slots=True)
class Step:
    """A call of the request has come to another state.

    Attributes:
        at_s: seconds since the request came in.
        tokens: generated until the state after this one.
        request: equal for samples that were asked for in one request.
    """

    stage: str
    index: int
    llm: str
    state: str
    at_s: float
    tokens: int = 0
    message: str = ""
    request: tuple[float, str] = (0.0, "")


@dataclass(eq=False, slots=True)
class Running:
    """A request that is being answered.

    Attributes:
        began: when it came in, in seconds since 1970.
        clock: the same by the monotonic clock.
        states: its calls' last steps, by stage and index.
    """

    ask: Ask
    began: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)
    states: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Keep changes of state. Reports of tokens within a state only bring its count up to date."""
        if not isinstance(event, CallUpdate):
            return
        key = (event.stage, event.index)
        last = self.states.get(key)
        if last is not None and self.steps[last].state == event.state:
            self.steps[last].tokens = event.tokens
            return
        self.states[key] = len(self.steps)
        at_s = time.monotonic() - self.clock
        request = self.steps[last].request if last is not None else (event.seconds, event.llm)
        self.steps.append(
            Step(event.stage, event.index, event.llm, event.state, at_s, event.tokens, event.message, request)
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that is over.

    Attributes:
        spec: the strategy.
        status: ``ok``, ``cancelled``, or the error's kind.
        trace: None where it ended before there was one.
        llms: what is known of the pool's LLMs, by name.
    """

    ask: Ask
    outcome: Outcome
    began: float
    steps: Sequence[Step]
    spec: StrategySpec
    status: str
    trace: Trace | None
    usage: TotalUsage
    llms: Mapping[str, LLMInfo]

    @property
    def kind(self) -> str:
        """The name of the strategy's module, as far as it is one."""
        return self.spec.name


class Sink(Protocol):
    """Takes what `Recorder` gathers. Returns at once."""

    def began(self, ask: Ask) -> None:
        """A request has come in."""
        ...

    def finished(self, finished: Finished) -> None:
        """It is over."""
        ...


class Recorder:
    """Watches requests (see `smcs.server.service.Watcher`).

    Args:
        house: whose LLMs are called.
        traces: where traces are kept, if they are.
        sinks: metrics, spans.
        on_lost: told when a trace could not be stored.
    """

    def __init__(
        self,
        house: House,
        traces: TraceStore | None = None,
        sinks: Sequence[Sink] = (),
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._house = house
        self._traces = traces
        self._sinks = sinks
        self._on_lost = on_lost
        self._running: dict[str, Running] = {}
        self._said: str | None = None

    def began(self, ask: Ask) -> None:
        """A request has come in."""
        self._running[ask.id] = Running(ask)
        for sink in self._sinks:
            sink.began(ask)

    def observe(self, ask: Ask, event: Event) -> None:
        """Something happened in answering it."""
        if ask.id in self._running:
            self._running[ask.id].add(event)

    async def ended(self, ask: Ask, outcome: Outcome) -> None:
        """It is over."""
        finished = _finished(self._running.pop(ask.id), outcome, self._house)
        for sink in self._sinks:
            sink.finished(finished)
        if self._traces is None:
            return
        try:
            await self._traces.add(record_of(finished))
            self._said = None
        except TracesError as error:
            self._on_lost()
            if self._said != str(error):
                log.error("a trace could not be stored: %s", error)
            self._said = str(error)


def record_of(finished: Finished) -> Record:
    """The record of a request, with all its texts (see `smcs.server.trace_record`)."""
    ask, outcome = finished.ask, finished.outcome
    return {
        **as_record(ask.question, ask.history, finished.spec),
        "id": ask.id,
        "time": finished.began,
        "source": ask.source,
        "strategy": finished.spec.label,
        "settings": dict(ask.settings),
        "limits": {name: value for name, value in dataclasses.asdict(ask.limits).items() if value is not None},
        "seed": ask.seed,
        "user": ask.user,
        "answer": outcome.answer.text if outcome.answer else None,
        "status": finished.status,
        "error": _error_dict(finished),
        "queued": outcome.queued,
        "seconds": outcome.seconds,
        "usage": dataclasses.asdict(finished.usage),
        "replay": {"of": ask.replay_of, **dataclasses.asdict(outcome.replay)} if outcome.replay else None,
        "trace": trace_to_dict(finished.trace, most_support=MOST_SUPPORT) if finished.trace else None,
        "timeline": [_step_dict(step) for step in finished.steps],
    }


def _finished(running: Running, outcome: Outcome, house: House) -> Finished:
    trace = outcome.answer.trace if outcome.answer else None
    if isinstance(outcome.error, NoAnswerError):
        trace = outcome.error.trace
    system = house.system
    strategy = running.ask.strategy or system.strategy
    if not isinstance(strategy, StrategySpec):
        strategy = _spec(strategy)
    return Finished(
        ask=running.ask,
        outcome=outcome,
        began=running.began,
        steps=running.steps,
        spec=strategy,
        status=_status(outcome.error),
        trace=trace,
        usage=outcome.answer.usage if outcome.answer else _usage_of(trace),
        llms={llm.name: llm.info for llm in system.pool},
    )


def _spec(label: str) -> StrategySpec:
    """The strategy that was asked for, as far as there is one of this name."""
    try:
        (spec,) = parse_specs([label])
    except (SmcsError, ValueError):
        return StrategySpec(label.partition(":")[0], {}, label)
    return spec


def _status(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    if isinstance(error, SmcsError):
        return failure_of(error, "").kind
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "internal_error"


def _error_dict(finished: Finished) -> dict[str, Any] | None:
    error = finished.outcome.error
    if error is None:
        return None
    # What is not an error of ours may quote anything: its type says enough, and the log has the rest.
    message = str(error) if isinstance(error, SmcsError) else type(error).__name__
    return {"kind": finished.status, "message": message}


def _usage_of(trace: Trace | None) -> TotalUsage:
    """What a request took that came to no answer, as far as its trace knows."""
    if trace is None:
        return TotalUsage()
    calls: list[Reference | Aggregation] = [*trace.referencers, *trace.aggregations]
    done = [call.completion for call in calls if call.completion]
    costs = [completion.cost_usd for completion in done]
    return TotalUsage(
        calls=len(calls),
        prompt_tokens=sum(completion.prompt_tokens for completion in done),
        completion_tokens=sum(completion.completion_tokens for completion in done),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _step_dict(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "index": step.index,
        "llm": step.llm,
        "state": step.state,
        "at_s": round(step.at_s, 6),
        "tokens": step.tokens,
        "message": step.message,
    }
