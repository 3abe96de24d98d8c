"""Talking to the llama.cpp server of an `Engine`."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp

from smcs.errors import ConnectionFailedError, MalformedResponseError
from smcs.transport import sse
from smcs.transport.failures import error_in_body, error_of_response

_WHERE = "llama.cpp"


async def post(socket: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send JSON and receive a JSON object.

    Raises:
        CallError: typed by what went wrong.
    """
    async with _response(socket, path, body) as response:
        payload: dict[str, Any] = _parsed(await response.read())
        return payload


async def get(socket: str, path: str) -> Any:
    """Receive JSON.

    Raises:
        CallError: typed by what went wrong.
    """
    async with _response(socket, path, None) as response:
        return json.loads(await response.read())


async def stream(socket: str, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Send JSON and receive the objects of the event stream. Closing it (`aclosing`) ends the generation.

    Raises:
        CallError: as for `post`; also where the stream ends too early.
    """
    async with _response(socket, path, body) as response:
        async with aclosing(sse.events(_chunks(response))) as events:
            async for data in events:
                if data.strip() == b"[DONE]":
                    return
                chunk = _parsed(data)
                yield chunk
                if chunk.get("stop") is True:  # the end in llama.cpp's own form, which has no [DONE]
                    return
        raise ConnectionFailedError(f"{_WHERE} broke off in the midst of its answer")


@asynccontextmanager
async def _response(socket: str, path: str, body: Mapping[str, Any] | None) -> AsyncGenerator[aiohttp.ClientResponse]:
    """The response to a POST, or to a GET where there is nothing to send; its status is checked."""
    data = None if body is None else json.dumps(body).encode()  # escaped, so that lone surrogates in a text pass too
    # A session for each call costs 0.2 ms, next to a call's seconds, and leaves nothing to be closed with its loop.
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(socket, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"Content-Type": "application/json"},
            ) as session,
            session.request("GET" if data is None else "POST", f"http://llama{path}", data=data) as response,
        ):
            if response.status != 200:
                text = await response.text(errors="replace")
                raise error_of_response(response.status, text, where=_WHERE, redact=str)
            yield response
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionFailedError(f"{_WHERE} stopped before the answer was complete ({error})") from error


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    async for chunk in response.content.iter_any():
        yield chunk


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(data)
    except ValueError:
        payload = None
    error = error_in_body(payload, where=_WHERE, redact=str)
    if error is not None:
        raise error
    if not isinstance(payload, dict):
        raise MalformedResponseError(f"{_WHERE} answered with something that is not a JSON object")
    return payload
