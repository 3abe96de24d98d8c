"""What happens while a question is answered, as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from smcs.types import CallUpdate, Event, Fetching, Planned, Retrieved, Scored

_PAUSE_S = 0.05  # between two pieces of the stream: many updates go together, and nobody reads faster
_SIGN_OF_LIFE_S = 15.0
_ALIVE = b": still at it\n\n"

Made = dict[str, Any]


class Mailbox:
    """Events on their way to a page. Of a call's token counts, only the last that is not yet sent is kept."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._waiting: list[Made] = []
        self._running: dict[tuple[str, int], int] = {}
        self._something = asyncio.Event()

    def put(self, event: Event) -> None:
        """Take an event; an observer."""
        made = to_dict(event, time.monotonic() - self._begin)
        if isinstance(event, CallUpdate):
            call = (event.stage, event.index)
            at = self._running.get(call)
            if event.state == "running" and at is not None and self._waiting[at]["state"] == "running":
                self._waiting[at] = {**made, "at_s": self._waiting[at]["at_s"]}
                return
            self._running[call] = len(self._waiting)
        self._waiting.append(made)
        self._something.set()

    def take(self) -> list[Made]:
        """All events that wait."""
        taken, self._waiting = self._waiting, []
        self._running.clear()
        self._something.clear()
        return taken

    async def wait(self) -> None:
        """Until there is one."""
        await self._something.wait()


def to_dict(event: Event, at_s: float) -> Made:
    """An event as JSON-able values; `at_s`: seconds since the question was asked."""
    match event:
        case Retrieved():
            support = [{"id": s.id, "benchmark": s.benchmark, "similarity": s.similarity} for s in event.support]
            return {"event": "retrieved", "support": support, "prior": dict(event.prior), "seconds": event.seconds}
        case Planned():
            return {
                "event": "planned",
                "referencers": list(event.referencers),
                "subsets": [list(subset) for subset in event.subsets],
                "aggregator": event.aggregator,
            }
        case CallUpdate():
            return {"event": "call", **dataclasses.asdict(event), "at_s": round(at_s, 4)}
        case Scored():
            scores = [{"score": a.score, "similarity": a.similarity} for a in event.aggregations]
            return {"event": "scored", "aggregations": scores, "winner": event.winner}
        case Fetching():
            return {"event": "fetching", **dataclasses.asdict(event)}


async def streamed(
    answering: Callable[[Mailbox], Coroutine[Any, Any, Made]],
) -> AsyncGenerator[bytes, None]:
    """Run an answer and send what happens, then its end. Closing the iterator cancels the answer and all its calls.

    Args:
        answering: given the mailbox whose `put` is the observer, gives the last event.
    """
    mailbox = Mailbox()
    task = asyncio.create_task(answering(mailbox))
    try:
        yield _ALIVE  # the client knows at once that it has been heard
        while not task.done():
            waiting = asyncio.create_task(mailbox.wait())
            try:
                await asyncio.wait({task, waiting}, timeout=_SIGN_OF_LIFE_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            if not task.done():
                await asyncio.wait({task}, timeout=_PAUSE_S)
            yield b"".join(map(sent, mailbox.take())) or _ALIVE
        yield b"".join(map(sent, [*mailbox.take(), task.result()]))
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def sent(made: Made) -> bytes:
    """An event as it goes over the line. Numbers that JSON lacks become null."""
    return b"data: " + json.dumps(finite(made), separators=(",", ":")).encode() + b"\n\n"


def finite(value: Any) -> Any:
    """The same with None for what JSON cannot say."""
    if isinstance(value, float):
        return value if -1e308 < value < 1e308 else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value
