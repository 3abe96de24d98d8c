"""The one way from a request to an answer: queue, system, and those who watch.

The OpenAI routes, the page and replays all go through `Service.answer`. Metrics, spans and the store of traces are
`Watcher`\\ s: they are told what is asked, what happens, and how it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from smcs.config import merge
from smcs.errors import DeadlineError
from smcs.protocols import FloatArray, Observer
from smcs.server.allowed import checked
from smcs.server.asked import asked
from smcs.server.call_cache import Replay, replaying
from smcs.server.house import House
from smcs.server.queue import Queue
from smcs.server.settings import ServerSettings
from smcs.server.traces import TraceStore, UnknownTraceError
from smcs.strategies import StrategySpec
from smcs.system import System
from smcs.types import NO_LIMITS, Answer, Event, Limits, Message, Question

logger = logging.getLogger(__name__)


def new_id() -> str:
    """An id for a request, its trace and its completion."""
    return f"smcs-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the pool, with all that this request wants otherwise than configured.

    Attributes:
        question: the last user turn.
        history: the turns before it.
        seed: source of all randomness.
        strategy: how to answer; None is the configured default.
        settings: overrides of the method's settings, by the names of `SMCSSettings`.
        limits: what the answer may take.
        source: who asks.
        user: the client's own name for its user; kept in the trace.
        replay_of: the trace that this asks again, where it is a replay.
        id: of the request, its trace and its completion.
    """

    question: Question
    history: tuple[Message, ...] = ()
    seed: int = 0
    strategy: StrategySpec | str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = NO_LIMITS
    source: Literal["api", "page", "replay"] = "api"
    user: str | None = None
    replay_of: str | None = None
    id: str = field(default_factory=new_id)

    @property
    def strategy_label(self) -> str:
        """What tables call the strategy; empty for the configured default."""
        return self.strategy.label if isinstance(self.strategy, StrategySpec) else self.strategy or ""


@dataclass(frozen=True, slots=True)
class Served:
    """What was answered.

    Attributes:
        id: of the request, its trace and its completion.
        replay: what a replay has taken; None for all other requests.
    """

    id: str
    answer: Answer
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended.

    Attributes:
        answer: None where it failed or was cancelled.
        error: why there is no answer; a `CancelledError` where the client hung up or the server stopped.
        queued: seconds that it waited for its turn.
        seconds: from asking to the end.
        replay: what a replay has taken; None for all other requests.
    """

    answer: Answer | None
    error: BaseException | None
    queued: float
    seconds: float
    replay: Replay | None = None


class Watcher(Protocol):
    """Sees requests. None of its methods may raise or wait long; `ended` is not awaited by the client's answer."""

    def began(self, ask: Ask) -> None:
        """A request has come in."""
        ...

    def observe(self, ask: Ask, event: Event) -> None:
        """Something happened in answering it."""
        ...

    async def ended(self, ask: Ask, outcome: Outcome) -> None:
        """It is over."""
        ...


class Service:
    """Answers requests.

    Args:
        house: lends the system.
        settings: of the server.
        traces: where traces are kept; None where they are not.
        watchers: told of every request.

    Attributes:
        queue: how many are running and waiting.
        stopping: whether the server has been told to stop.
    """

    def __init__(
        self,
        house: House,
        settings: ServerSettings,
        traces: TraceStore | None = None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.house = house
        self.settings = settings
        self.traces = traces
        self.watchers = list(watchers)
        self.queue = Queue(settings.running, settings.waiting)
        self.stopping = False
        self._endings: set[asyncio.Task[None]] = set()

    async def answer(self, ask: Ask, observe: Observer = lambda _: None) -> Served:
        """Wait for a turn and answer.

        Cancelling the task cancels every call that it has caused.

        Raises:
            OverloadedError: too many requests are waiting.
            DeadlineError: the deadline passed before it was this request's turn.
            UsageError: the request cannot be met as it stands.
            NoAnswerError: the pool gave no answer.
            CallError: the question could not be embedded.
        """
        begin, queued = time.monotonic(), 0.0
        answer: Answer | None = None
        failed: BaseException | None = None
        for watcher in self.watchers:
            watcher.began(ask)
        replay = Replay() if ask.source == "replay" else None
        try:
            limits, strategy = self.limits(ask.limits), checked(ask.strategy, ask.settings)
            async with self._turn(limits.seconds) as system:
                queued = time.monotonic() - begin
                with replaying(replay):
                    answer = await system.variant(strategy, ask.settings).ask(
                        ask.question,
                        seed=ask.seed,
                        history=ask.history,
                        observe=self._telling(ask, observe),
                        limits=_left(limits, queued),
                    )
        except BaseException as error:
            failed = error
            raise
        finally:
            self._end(ask, Outcome(answer, failed, queued, time.monotonic() - begin, replay))
        return Served(ask.id, answer, replay)

    async def replay(
        self,
        trace_id: str,
        settings: Mapping[str, Any] | None = None,
        *,
        strategy: StrategySpec | str | None = None,
        observe: Observer = lambda _: None,
    ) -> Served:
        """Ask again what a stored trace asked, with other settings. Calls that were made then are not made again.

        Args:
            settings: over those of then, by the names of `SMCSSettings`.
            strategy: instead of that of then.

        Raises:
            UnknownTraceError: there is no such trace.
            TracesError: it holds no texts.
            SmcsError: as `answer` does.
        """
        await asyncio.sleep(0)  # what has been answered a moment ago is stored from the loop's next turn on
        record = await self.traces.get(trace_id) if self.traces else None
        if record is None:
            raise UnknownTraceError(f"there is no trace {trace_id!r}; it may not have been stored, or removed")
        values = asked(record)
        values["settings"] = merge(values["settings"], settings or {})
        values["strategy"] = strategy or values["strategy"]
        return await self.answer(Ask(**values, source="replay", replay_of=trace_id), observe)

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> FloatArray:
        """Wait for a turn and embed texts, as the bank's are.

        Returns:
            Array of shape (n_texts, dimension), each row of length 1.

        Raises:
            OverloadedError: too many requests are waiting.
            CallError: the embedder failed.
        """
        async with self._turn(self.settings.seconds) as system:
            return await system.embedder.embed(texts, kind)

    def limits(self, asked: Limits) -> Limits:
        """What an answer may take: what the request allows, and never more than the server."""
        given = [(getattr(asked, f.name), getattr(self.settings, f.name)) for f in dataclasses.fields(Limits)]
        return Limits(*(min((limit for limit in both if limit is not None), default=None) for both in given))

    @contextlib.asynccontextmanager
    async def _turn(self, seconds: float | None) -> AsyncIterator[System]:
        """Wait for a turn, that many seconds at most; the system, for as long as the turn lasts."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(seconds):
                    await stack.enter_async_context(self.queue.place())
            except TimeoutError:
                message = f"the deadline of {seconds:g} seconds passed before it was this request's turn"
                raise DeadlineError(message) from None
            yield await stack.enter_async_context(self.house.lease())

    async def aclose(self) -> None:
        """Wait until all watchers have been told of the ends."""
        while self._endings:
            await asyncio.wait(self._endings)

    def _telling(self, ask: Ask, observe: Observer) -> Observer:
        watching: list[Callable[[Ask, Event], None]] = [watcher.observe for watcher in self.watchers]

        def tell(event: Event) -> None:
            observe(event)
            for watch in watching:
                watch(ask, event)

        return tell

    def _end(self, ask: Ask, outcome: Outcome) -> None:
        for watcher in self.watchers:
            task = asyncio.create_task(watcher.ended(ask, outcome), name=f"end of {ask.id}")
            self._endings.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._endings.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("what watches requests has failed", exc_info=task.exception())


def _left(limits: Limits, queued: float) -> Limits:
    """What is left of the limits after waiting."""
    if limits.seconds is None:
        return limits
    return dataclasses.replace(limits, seconds=max(limits.seconds - queued, 1e-3))
