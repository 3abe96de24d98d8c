"""Requests that do not come in whole end their connection; those that do may take their time to be answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from smcs.server.patience import PatientProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


class Impatient(PatientProtocol):
    longest_s = 0.2


@asynccontextmanager
async def serving(seen: list[str]) -> AsyncIterator[int]:
    """An app that reads the body, takes longer to answer than a request may take to come, and answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message["type"] == "http.request" and message.get("more_body"):
            message = await receive()
        seen.append(message["type"])
        if message["type"] == "http.disconnect":
            return
        await asyncio.sleep(2 * Impatient.longest_s)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    config = uvicorn.Config(app, port=0, http=Impatient, lifespan="off", log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    await task


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"", []),  # nothing at all
        (b"GET / HT", []),  # half a head
        (HEAD + b"ab", ["http.disconnect"]),  # half a body: the app is told
    ],
)
async def test_half_a_request_ends_its_connection(sent: bytes, seen: list[str]) -> None:
    happened: list[str] = []
    async with serving(happened) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
    assert happened == seen


async def test_a_whole_request_is_answered_however_long_it_takes() -> None:
    happened: list[str] = []
    async with serving(happened) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):  # and the connection is kept for the next
            writer.write(HEAD)
            await asyncio.sleep(0.02)
            writer.write(b"abcd")
            assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 60)
        writer.close()
    assert happened == ["http.request"] * 2
