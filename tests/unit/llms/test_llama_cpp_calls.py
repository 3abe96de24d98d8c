"""Calls to a llama.cpp server that is not one, over a real socket."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from smcs.errors import BadRequestError, ConnectionFailedError, ContextLengthError, ServerError
from smcs.llms import _llama_host
from smcs.llms._llama_engine import Spec
from smcs.llms.llama_cpp import LlamaCpp, Settings, create
from smcs.protocols import BuildContext, Progress
from smcs.types import Message, Request, Sampling

PARALLEL = 3
SHORT = (Message("system", "Be brief."), Message("user", "Why?"))


def long(ending: str) -> tuple[Message, ...]:
    """A prompt that is worth sharing, with an ending of its own."""
    return (Message("user", "the same words again " * 100 + ending),)


@dataclass
class Server:
    """What the fake server was asked, and what it is to do.

    A token is a letter. Each sample is its number, three times.
    """

    path: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: tuple[int, dict[str, Any]] | None = None
    error_midway: bool = False
    break_off: bool = False
    hold: asyncio.Event | None = None
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    most_running: int = 0

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body in self.calls if where.startswith(path)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.calls.append((request.path_qs, body))
        match request.path:
            case "/apply-template":
                return web.json_response({"prompt": "".join(m["content"] for m in body["messages"])})
            case "/tokenize":
                return web.json_response({"tokens": [ord(letter) for letter in body["content"]]})
            case "/slots":
                return web.json_response([{"id": i, "is_processing": i < self.running} for i in range(PARALLEL)])
            case "/completion":
                return await self._stream(request, [{"content": "", "id_slot": 2, "stop": True}], done=False)
            case "/v1/chat/completions":
                return await self._chat(request, body)
        return web.json_response({})

    async def _chat(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self.error:
            return web.json_response(self.error[1], status=self.error[0])
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._stream(request, self._chunks(body), done=True)
        except (ConnectionError, asyncio.CancelledError):
            self.disconnected.set()
            raise
        finally:
            self.running -= 1

    def _chunks(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        chunks: list[dict[str, Any]] = []
        for token in range(3):
            for index in range(body.get("n", 1)):
                logprobs = {"content": [{"logprob": -0.5 - index}]} if body.get("logprobs") else None
                chunks.append({"choices": [{"index": index, "delta": {"content": f"{index}"}, "logprobs": logprobs}]})
            if token == 0 and self.error_midway:
                chunks.append({"error": {"code": 500, "message": "out of tape", "type": "server_error"}})
        for index in range(body.get("n", 1)):
            chunks.append({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]})
            usage = {"prompt_tokens": 7, "completion_tokens": 4 + index}
            chunks.append({"choices": [], "usage": usage})
        return chunks

    async def _stream(self, request: web.Request, chunks: list[dict[str, Any]], *, done: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
            while done and self.hold is not None and not self.hold.is_set():
                await response.write(b": still there\n\n")
                await asyncio.sleep(0.01)
            if self.break_off:
                break
        if done and not self.break_off:
            await response.write(b"data: [DONE]\n\n")
        return response


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    fake = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        fake.path = f"{folder}/llama.sock"
        await web.UnixSite(runner, fake.path).start()

        class FakeEngine:
            def __init__(self, spec: Spec) -> None:
                self.spec = spec
                self.socket = fake.path
                self.folder = Path(folder)

            def close(self) -> None:
                pass

        monkeypatch.setattr(_llama_host, "Engine", FakeEngine)
        yield fake
        if fake.hold:
            fake.hold.set()
        await runner.cleanup()


@pytest.fixture
async def llm(server: Server, tmp_path: Path, write_gguf: Callable[..., Path]) -> AsyncIterator[LlamaCpp]:
    path = write_gguf(tmp_path / "a.gguf")
    made = create(
        Settings(name="mine", backend="llama-cpp", path=path, parallel=PARALLEL), BuildContext(tmp_path / "cache")
    )
    yield made
    await made.aclose()


async def test_the_context_is_known_once_it_is_started(llm: LlamaCpp) -> None:
    assert llm.info.context_length is None
    await llm.start()
    assert llm.info.context_length == 4096


async def test_what_is_asked_for(llm: LlamaCpp, server: Server) -> None:
    sampling = Sampling(0.7, max_tokens=9, seed=3, stop=("END",), logprobs=True, extra={"min_p": 0.0})
    await llm.complete(Request(SHORT, sampling), Progress())
    (body,) = server.bodies("/v1/chat/completions")
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    expected = {"temperature": 0.7, "max_tokens": 9, "seed": 3, "stop": ["END"], "logprobs": True, "min_p": 0.0}
    assert expected.items() <= body.items()
    assert body["top_logprobs"] == 1
    assert "n" not in body


async def test_each_sample_has_its_own_count_of_tokens(llm: LlamaCpp) -> None:
    made = await llm.complete(Request(SHORT, Sampling(logprobs=True), n=2), Progress())
    assert [(c.text, c.prompt_tokens, c.completion_tokens) for c in made] == [("000", 7, 4), ("111", 0, 5)]
    assert made[1].token_logprobs == (-1.5, -1.5, -1.5)


async def test_more_samples_than_sequences_come_in_parts_with_consecutive_seeds(llm: LlamaCpp, server: Server) -> None:
    counts: list[int] = []
    made = await llm.complete(Request(SHORT, Sampling(seed=10), n=7), Progress(tokens=counts.append))
    assert [c.text for c in made] == ["000", "111", "222", "000", "111", "222", "000"]
    assert [c.prompt_tokens for c in made] == [7, 0, 0, 0, 0, 0, 0]
    assert [(b.get("n", 1), b["seed"]) for b in server.bodies("/v1/chat")] == [(3, 10), (3, 13), (1, 16)]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "exceed_context_size_error", ContextLengthError),
        (400, "invalid_request_error", BadRequestError),
        (500, "server_error", ServerError),
    ],
)
async def test_a_refusal_is_typed(
    llm: LlamaCpp, server: Server, status: int, kind: str, error: type[Exception]
) -> None:
    server.error = (status, {"error": {"code": status, "message": "no", "type": kind}})
    with pytest.raises(error):
        await llm.complete(Request(SHORT), Progress())


async def test_an_error_in_the_midst_of_an_answer_is_an_error(llm: LlamaCpp, server: Server) -> None:
    server.error_midway = True
    with pytest.raises(ServerError, match="out of tape"):
        await llm.complete(Request(SHORT), Progress())


async def test_half_an_answer_is_none(llm: LlamaCpp, server: Server) -> None:
    server.break_off = True
    with pytest.raises(ConnectionFailedError):
        await llm.complete(Request(SHORT), Progress())


async def test_cancelling_closes_the_connection_and_frees_the_place(llm: LlamaCpp, server: Server) -> None:
    server.hold = asyncio.Event()
    counts: list[int] = []
    task = asyncio.create_task(llm.complete(Request(SHORT, n=PARALLEL), Progress(tokens=counts.append)))
    while not counts:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.disconnected.wait(), 10)
    server.hold = None
    await llm.complete(Request(SHORT, n=PARALLEL), Progress())


async def test_closing_ends_what_is_running_with_an_error(llm: LlamaCpp, server: Server) -> None:
    server.hold = asyncio.Event()
    counts: list[int] = []
    task = asyncio.create_task(llm.complete(Request(SHORT), Progress(tokens=counts.append)))
    while not counts:
        await asyncio.sleep(0.01)
    await llm.aclose()
    with pytest.raises(ConnectionFailedError, match="closed"):
        await task
    with pytest.raises(ConnectionFailedError, match="closed"):
        await llm.complete(Request(SHORT), Progress())


async def test_calls_run_at_once_up_to_the_number_of_sequences(llm: LlamaCpp, server: Server) -> None:
    server.hold = asyncio.Event()
    calls = [asyncio.create_task(llm.complete(Request(SHORT), Progress())) for _ in range(8)]
    while server.running < PARALLEL:
        await asyncio.sleep(0.01)
    server.hold.set()
    await asyncio.gather(*calls)
    assert server.most_running == PARALLEL


async def test_tokens_are_counted_by_the_llms_own_template_and_tokenizer(llm: LlamaCpp, server: Server) -> None:
    assert await llm.count_tokens(SHORT) == len("Be brief.Why?")
    (body,) = server.bodies("/tokenize")
    assert body["parse_special"] is True


async def test_a_long_prompt_is_computed_once_and_copied_to_the_idle_sequences(llm: LlamaCpp, server: Server) -> None:
    await llm.complete(Request(long("one")), Progress())
    paths = [path for path, _ in server.calls if path.startswith(("/completion", "/slots/", "/v1"))]
    assert paths == [
        "/completion",
        "/slots/2?action=save",
        "/slots/0?action=restore",
        "/slots/1?action=restore",
        "/v1/chat/completions",
    ]
    server.calls.clear()
    await llm.complete(Request(long("two")), Progress())
    assert not server.bodies("/completion")  # it continues from what is there


async def test_a_short_prompt_goes_straight_to_the_server(llm: LlamaCpp, server: Server) -> None:
    await llm.complete(Request(SHORT), Progress())
    assert [path for path, _ in server.calls] == ["/v1/chat/completions"]


async def test_where_no_sequence_is_idle_nothing_is_copied(llm: LlamaCpp, server: Server) -> None:
    server.hold = asyncio.Event()
    running = [asyncio.create_task(llm.complete(Request(SHORT), Progress())) for _ in range(PARALLEL - 1)]
    while server.running < PARALLEL - 1:
        await asyncio.sleep(0.01)
    last = asyncio.create_task(llm.complete(Request(long("one")), Progress()))
    while server.running < PARALLEL:
        await asyncio.sleep(0.01)
    server.hold.set()
    await asyncio.gather(last, *running)
    assert not server.bodies("/completion")
