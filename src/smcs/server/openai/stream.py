"""A chat completion as a stream: what the pool does as reasoning, then the answer, then what it took.

Nothing is sent before the first thing has happened, so that a request that cannot be met gets its error with the right
status. While nothing happens, comments keep the connection alive.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from smcs.errors import SmcsError
from smcs.protocols import Observer
from smcs.server.openai import bodies, progress
from smcs.server.openai.bodies import Body
from smcs.server.openai.errors import UNEXPECTED, ApiError, of_smcs
from smcs.server.openai.hangup import ClientGoneError, unless_gone
from smcs.server.openai.schemas import ChatRequest
from smcs.server.service import Ask, Served
from smcs.types import Completion, Event

logger = logging.getLogger(__name__)

_ALIVE_S = 10.0
_ALIVE = b": still working\n\n"
_PIECE = re.compile(r"\s*\S+\s*", re.DOTALL)
_PIECES_A_DELTA = 12

Answering = Callable[[Observer], Awaitable[Served]]


class ChatStream(Response):
    """The stream of one answer. A client that hangs up cancels it.

    Args:
        request: what was asked for.
        ask: the same, as the service was asked.
        answering: answers, telling an observer what happens.
        default: what the configured strategy is called.
        created: Unix time.
    """

    media_type = "text/event-stream"

    def __init__(self, request: ChatRequest, ask: Ask, answering: Answering, default: str, created: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._request = request
        self._ask = ask
        self._answering = answering
        self._default = default
        self._head = {
            "id": ask.id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": request.model,
            "system_fingerprint": None,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await unless_gone(receive, self._send_all(scope, receive, send))
        except ClientGoneError:
            return

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            async for piece in self._pieces():
                if not started:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    started = True
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (ApiError, SmcsError) as error:
            told = error if isinstance(error, ApiError) else of_smcs(error)
        except Exception:
            logger.exception("a stream failed")
            told = UNEXPECTED
        else:
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
            return
        if not started:
            await told.response()(scope, receive, send)
            return
        await send({"type": "http.response.body", "body": _sent(told.body()), "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Everything but the end. Closing it cancels the answer."""
        lines: list[str] = []
        something = asyncio.Event()

        def observe(event: Event) -> None:
            text = progress.line(event)
            if text is not None:
                lines.append(text)
                something.set()

        task = asyncio.ensure_future(self._answering(observe))
        task.add_done_callback(lambda _: something.set())
        try:
            while not task.done():
                try:
                    async with asyncio.timeout(_ALIVE_S):
                        await something.wait()
                except TimeoutError:
                    yield _ALIVE
                    continue
                something.clear()
                if lines and self._request.smcs.progress and not task.done():
                    yield self._progress(lines)
                lines.clear()
            served = task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
        for chunk in self._answer(served):
            yield chunk

    def _progress(self, lines: list[str]) -> bytes:
        delta = {"role": "assistant", "content": "", "reasoning_content": "\n".join(lines) + "\n"}
        return self._chunk(0, delta)

    def _answer(self, served: Served) -> Iterator[bytes]:
        choices = bodies.choices_of(served.answer, self._request.n)
        for index, choice in enumerate(choices):
            yield self._chunk(index, {"role": "assistant", "content": ""})
            for delta, logprobs in _deltas(choice):
                yield self._chunk(index, delta, logprobs=logprobs)
            more = {}
            if index == len(choices) - 1:
                more = {"smcs": bodies.smcs_body(self._request, self._ask, served.answer, self._default)}
            yield self._chunk(index, {}, finish_reason=bodies.finish_reason(choice), **more)
        if self._request.stream_options is not None and self._request.stream_options.include_usage:
            yield _sent({**self._head, "choices": [], "usage": bodies.usage_body(served.answer)})

    def _chunk(
        self,
        index: int,
        delta: Body,
        *,
        finish_reason: str | None = None,
        logprobs: Body | None = None,
        **more: Any,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return _sent({**self._head, "choices": [choice], **more})


def _deltas(choice: Completion) -> Iterator[tuple[Body, Body | None]]:
    """The text in pieces, with log-probabilities in one; then the calls of tools."""
    logprobs = bodies.logprobs_body(choice)
    if choice.text:
        pieces = _PIECE.findall(choice.text) or [choice.text]
        size = len(pieces) if logprobs else _PIECES_A_DELTA
        for first in range(0, len(pieces), size):
            yield {"content": "".join(pieces[first : first + size])}, logprobs
    for number, call in enumerate(bodies.tool_call_bodies(choice)):
        yield {"tool_calls": [{"index": number, **call}]}, None


def _sent(body: Body) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"
