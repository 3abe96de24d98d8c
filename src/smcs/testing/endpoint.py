"""A simulated OpenAI-compatible endpoint on loopback: real HTTP, simulated LLMs, faults on demand.

::

    async with SimulatedEndpoint(Settings(name="small", backend="simulated", skill=0.6)) as endpoint:
        endpoint.fail(Fault("status", status=429, retry_after="1"))
        ...                                     # calls to endpoint.base_url, model "small"
        assert endpoint.calls == 2

As a process of its own, for demonstrations and load::

    python -m smcs.testing.endpoint --port 8000 --llm strong:0.9 --llm weak:0.4 --latency 0.2
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from smcs.errors import CallError, ConnectionFailedError, MalformedResponseError
from smcs.llms import simulated
from smcs.protocols import BuildContext, Progress
from smcs.testing import _bodies
from smcs.testing._bodies import Body, ReasoningIn
from smcs.testing.faults import Fault
from smcs.types import Completion

_RECORDED = 1000
_COMPLETION_FAULTS = frozenset({"no_choices", "empty_text", "null_content", "fewer_choices"})


class SimulatedEndpoint:
    """An endpoint that serves simulated LLMs under their names. An async context manager.

    Args:
        llms: their settings; limits such as `max_concurrency` are of no effect here.
        api_key: the key that it wants as a bearer token, if any.
        reasoning_in: where a reasoning block is put: a field of the message, the text between think tags, or the text
            with only the closing tag.
        edit: changes the body of each answer before it is sent, to imitate an endpoint's peculiarities.
        dimension: of its embeddings.
        host: address to listen on.
        port: port to listen on; 0 chooses a free one.

    Attributes:
        calls: POST requests so far.
        requests: the bodies of the last thousand of them.
        authorizations: the ``Authorization`` headers of these.
        in_flight: requests being answered.
        most_in_flight: most of them at once.
        abandoned: requests whose client left before the answer was complete.
    """

    def __init__(
        self,
        *llms: simulated.Settings,
        api_key: str | None = None,
        reasoning_in: ReasoningIn = "reasoning_content",
        edit: Callable[[Body], Body] = lambda body: body,
        dimension: int = 64,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        context = BuildContext(cache_dir=Path())
        self._llms = {s.name: simulated.create(s, context) for s in llms}
        self._api_key = api_key
        self._reasoning_in: ReasoningIn = reasoning_in
        self._edit = edit
        self._dimension = dimension
        self._host = host
        self._port = port
        self._faults: deque[Fault] = deque()
        self._runner: web.AppRunner | None = None
        self.calls = 0
        self.requests: deque[Body] = deque(maxlen=_RECORDED)
        self.authorizations: deque[str | None] = deque(maxlen=_RECORDED)
        self.in_flight = 0
        self.most_in_flight = 0
        self.abandoned = 0

    @property
    def base_url(self) -> str:
        """Its address, up to and with ``/v1``."""
        return f"http://{self._host}:{self._port}/v1"

    def fail(self, *faults: Fault) -> None:
        """Let the next calls fail, one fault each, in the order of their arrival."""
        self._faults.extend(faults)

    async def start(self) -> None:
        """Listen."""
        for llm in self._llms.values():
            await llm.start()
        app = web.Application(client_max_size=2**26)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/embeddings", self._embeddings),
                web.get("/v1/models", self._models),
                web.get("/stats", self._stats),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def aclose(self) -> None:
        """Stop; calls that are under way break off."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, self._answer_chat)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, self._answer_embeddings)

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self._llms]})

    async def _stats(self, request: web.Request) -> web.Response:
        names = ("calls", "in_flight", "most_in_flight", "abandoned")
        counts = {name: getattr(self, name) for name in names}
        return web.json_response({**counts, "cpu_seconds": time.process_time()})

    async def _counted(self, request: web.Request, answer: Callable[..., Any]) -> web.StreamResponse:
        """Answer a call, with the next fault if there is one."""
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        fault = self._faults.popleft() if self._faults else None
        try:
            body = await request.json()
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            self.requests.append(body)
            self.authorizations.append(request.headers.get("Authorization"))
            if self._api_key is not None and self.authorizations[-1] != f"Bearer {self._api_key}":
                return _refused(401, f"Incorrect API key provided: {self.authorizations[-1]}", "invalid_api_key")
            spoiled = await _spoiled(request, body, fault) if fault is not None else None
            response: web.StreamResponse = spoiled or await answer(request, body, fault)
        except (asyncio.CancelledError, ConnectionResetError):
            self.abandoned += 1
            raise
        except ValueError as error:
            return _refused(400, str(error))
        else:
            return response
        finally:
            self.in_flight -= 1

    async def _answer_chat(self, request: web.Request, body: Body, fault: Fault | None) -> web.StreamResponse:
        llm = self._llms.get(str(body.get("model")))
        if llm is None:
            return _refused(404, f"The model {body.get('model')!r} does not exist.", "model_not_found")
        number = self.calls
        try:
            completions = await self._completions(llm, body, number)
        except CallError as failed:
            return _simulated_failure(request, failed)
        answer = _bodies.body_of(llm.settings.name, completions, self._reasoning_in, number)
        if fault is not None and fault.kind in _COMPLETION_FAULTS:
            answer = _bodies.without(answer, fault.kind)
        answer = self._edit(answer)
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            chunks = [json.dumps(chunk) for chunk in _bodies.chunks_of(answer, include_usage=usage)]
            if fault is not None and fault.kind == "error_in_body":
                error = _bodies.error_body(fault.message, fault.status, fault.code).decode()
                chunks = [*chunks[: len(chunks) // 2], error]
            data = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"]).encode()
            return await _send(request, data, "text/event-stream", fault)
        return await _send(request, json.dumps(answer).encode(), "application/json", fault)

    async def _completions(self, llm: simulated.SimulatedLLM, body: Body, number: int) -> Sequence[Completion]:
        asked = _bodies.request_of(body)
        if asked.sampling.seed is None:  # as from a real endpoint: other samples each time
            asked = type(asked)(asked.messages, asked.sampling, asked.n, sample_index=number * 1000)
        if not llm.settings.multiple_samples:
            asked = type(asked)(asked.messages, asked.sampling, 1, asked.sample_index)
        return await llm.complete(asked, Progress())

    async def _answer_embeddings(self, request: web.Request, body: Body, fault: Fault | None) -> web.StreamResponse:
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            raise ValueError("'input' must be a text or a list of texts")
        answer = self._edit(_bodies.embeddings_of(str(body.get("model")), texts, self._dimension))
        return await _send(request, json.dumps(answer).encode(), "application/json", fault)


async def _spoiled(request: web.Request, body: Body, fault: Fault) -> web.StreamResponse | None:
    """The response of a fault that needs no answer to spoil, or None; waits where the fault is to wait."""
    response: web.StreamResponse | None = None
    match fault.kind:
        case "status":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            response = _refused(fault.status, fault.message, fault.code, headers)
        case "reset":
            response = _reset(request)
        case "hang":
            await asyncio.Event().wait()
        case "slow_headers":
            await asyncio.sleep(fault.seconds)
        case "html":
            response = web.Response(text="<!doctype html><title>Welcome</title>", content_type="text/html")
        case "broken_json":
            response = web.Response(body=b'{"choices": [{"mess', content_type="application/json")
        case "error_in_body" if not body.get("stream"):
            error = _bodies.error_body(fault.message, fault.status, fault.code)
            response = web.Response(body=error, content_type="application/json")
    return response


def _refused(status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None) -> web.Response:
    body = _bodies.error_body(message, status, code)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _simulated_failure(request: web.Request, error: CallError) -> web.StreamResponse:
    """A simulated LLM's own fault, as an endpoint shows it."""
    match error:
        case ConnectionFailedError():
            return _reset(request)
        case MalformedResponseError():
            return web.Response(body=b'{"choices": [{"mess', content_type="application/json")
        case _:
            headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
            code = "context_length_exceeded" if error.kind == "context_length" else None
            return _refused(error.status or 500, str(error), code, headers)


async def _send(request: web.Request, data: bytes, content_type: str, fault: Fault | None) -> web.StreamResponse:
    """Send a body, or a part of it."""
    kind = fault.kind if fault else None
    if kind not in {"reset_in_body", "hang_in_body"} and content_type == "application/json":
        return web.Response(body=data, content_type=content_type)
    response = web.StreamResponse(headers={"Content-Type": content_type})
    if content_type == "application/json":
        response.content_length = len(data)
    await response.prepare(request)
    if kind == "reset_in_body":
        await response.write(data[: len(data) // 2])
        return _reset(request)
    if kind == "hang_in_body":
        await response.write(data[: len(data) // 2])
        await asyncio.Event().wait()
    for start in range(0, len(data), 4096):  # in pieces that end anywhere, as from a real network
        await response.write(data[start : start + 4096])
    await response.write_eof()
    return response


if __name__ == "__main__":
    from smcs.testing._command import main

    main()
