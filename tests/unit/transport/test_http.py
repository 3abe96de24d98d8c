"""JSON over real HTTP: what breaks on the way becomes a typed error that shows no secret."""

from __future__ import annotations

import asyncio
import errno
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from smcs.errors import BadRequestError, CallError, ConnectionFailedError, MalformedResponseError
from smcs.transport import http
from smcs.transport.credentials import Credentials, credentials
from smcs.transport.http import JsonClient

NOBODY = Credentials({})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(base_url: str, made: Credentials = NOBODY) -> AsyncIterator[JsonClient]:
    opened = JsonClient(base_url, made, max_connections=4, connect_timeout_s=5)
    try:
        yield opened
    finally:
        await opened.aclose()


async def test_a_refused_connection_names_the_endpoint_and_what_to_check() -> None:
    port = free_port()
    async with client(f"http://127.0.0.1:{port}/v1") as opened:
        with pytest.raises(
            ConnectionFailedError, match=rf"http://127.0.0.1:{port} \(connection refused\); is the server running"
        ):
            await opened.post("/x", {})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ConnectionTimeoutError(), "within 5 s"),
        (aiohttp.ServerDisconnectedError(), "broke"),
        (aiohttp.ClientPayloadError(), "broke"),
        (ConnectionResetError(), "broke"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "broke"),
    ],
)
async def test_broken_connections_are_called_by_name(error: Exception, words: str) -> None:
    async with client("http://host:1/v1") as opened:
        made = opened._broken(error)
    assert isinstance(made, ConnectionFailedError)
    assert words in str(made)


async def test_an_unknown_host_is_told_from_a_refusal() -> None:
    key: Any = SimpleNamespace(host="nowhere", port=1, ssl=None, is_ssl=False)
    unknown = aiohttp.ClientConnectorDNSError(key, OSError(-2, "Name or service not known"))
    async with client("http://nowhere:1/v1") as opened:
        assert "host of http://nowhere:1 is not known" in str(opened._broken(unknown))


async def test_a_certificate_that_is_not_accepted_is_called_so() -> None:
    key: Any = SimpleNamespace(host="host", port=443, ssl=None, is_ssl=True)
    refused = aiohttp.ClientConnectorCertificateError(key, Exception("self-signed"))
    async with client("https://host/v1") as opened:
        assert "certificate" in str(opened._broken(refused))


async def test_a_redirection_is_not_followed() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/elsewhere"})

    async with serving(answer) as url, client(url) as opened:
        with pytest.raises(BadRequestError, match="redirection"):
            await opened.post("/x", {})


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_RESPONSE_BYTES", 100_000)
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 10_000)
        finally:
            ended.set()

    async with serving(answer) as url, client(url) as opened:
        with pytest.raises(MalformedResponseError, match="longer than"):
            await opened.post("/x", {})
        await asyncio.wait_for(ended.wait(), 10)


async def test_an_endless_error_is_read_in_part() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text="no " * 200_000)

    async with serving(answer) as url, client(url) as opened:
        with pytest.raises(BadRequestError, match="no no no"):
            await opened.post("/x", {})


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"text"', b"\xff\xfe", b'{"a": '])
async def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    async with serving(answer) as url, client(url) as opened:
        with pytest.raises(MalformedResponseError):
            await opened.post("/x", {})


async def test_text_of_any_kind_arrives_whole() -> None:
    received: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        received.append(await request.json())
        return web.json_response({"text": "d\u00e9j\u00e0 \u6f22 \ud83d\ude00"})

    async with serving(answer) as url, client(url) as opened:
        sent = {"text": "\u00e9\u6f22\U0001f600", "lone": "\ud800"}
        assert await opened.post("/x", sent) == {"text": "d\u00e9j\u00e0 \u6f22 \U0001f600"}
    assert received == [{"text": "\u00e9\u6f22\U0001f600", "lone": "?"}]


async def test_an_endpoint_that_does_not_stream_gives_its_one_object() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"whole": True})

    async with serving(answer) as url, client(url) as opened:
        assert [event async for event in opened.stream("/x", {})] == [{"whole": True}]


async def test_a_stream_without_its_end_gives_what_came_and_then_fails() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b'data: {"a": 1}\n\n', content_type="text/event-stream")

    async with serving(answer) as url, client(url) as opened:
        stream = opened.stream("/x", {})
        assert await anext(stream) == {"a": 1}
        with pytest.raises(ConnectionFailedError, match="broke off"):
            await anext(stream)


async def test_closing_a_stream_early_closes_the_connection() -> None:
    left = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"a": 1}\n\n')
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with serving(answer) as url, client(url) as opened:
        stream = opened.stream("/x", {})
        assert await anext(stream) == {"a": 1}
        await stream.aclose()
        await asyncio.wait_for(left.wait(), 10)


async def test_a_closed_client_says_so() -> None:
    async with client("http://127.0.0.1:1/v1") as opened:
        pass
    with pytest.raises(ConnectionFailedError, match="closed"):
        await opened.post("/x", {})


def test_it_works_in_one_event_loop_after_another() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True})

    opened: list[JsonClient] = []

    async def once() -> None:
        async with serving(answer) as url:
            opened.append(JsonClient(url, NOBODY, max_connections=1, connect_timeout_s=5))
            opened[0]._base_url = url
            assert await opened[0].post("/x", {}) == {"ok": True}
            assert opened[0]._session is not None
            await opened[0]._session.close()

    asyncio.run(once())
    asyncio.run(once())


async def test_no_secret_leaves_by_an_error(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-123456789")
    made = credentials("SMCS_TEST_KEY", {"X-Other": SecretStr("$SMCS_TEST_KEY and hunter2hunter2")}, "LLM 'a'")
    caplog.set_level("DEBUG")

    async def echo(request: web.Request) -> web.StreamResponse:
        words = f"you sent {request.headers['Authorization']} and {request.headers['X-Other']}"
        match request.path.rpartition("/")[2]:
            case "error":
                return web.json_response({"error": {"message": words}}, status=401)
            case "in_body":
                return web.json_response({"error": words})
            case "not_json":
                return web.Response(text=words)
            case _:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()

    async with serving(echo) as url, client(url, made) as opened:
        for path in ("/error", "/in_body", "/not_json", "/reset"):
            with pytest.raises(CallError) as failed:
                await opened.post(path, {})
            shown = "".join(traceback.format_exception(failed.value)) + repr(failed.value) + repr(opened)
            assert "sk-123456789" not in shown
            assert "hunter2" not in shown
    assert "sk-123456789" not in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://api.example.com/v1", "http://proxy:3128"),
        ("http://127.0.0.1:8000/v1", None),
        ("http://localhost:8000/v1", None),
        ("https://inside.example.org/v1", None),
    ],
)
def test_the_environments_proxy_is_used_but_for_loopback(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None
) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.org")
    assert http._proxy(url) == proxy
