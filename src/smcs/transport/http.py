"""JSON over HTTP to one endpoint, with typed failures."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from smcs.errors import CallError, ConnectionFailedError, MalformedResponseError
from smcs.transport import sse
from smcs.transport.address import origin
from smcs.transport.credentials import Credentials
from smcs.transport.failures import error_in_body, error_of_response, retry_after_s, shorten

JsonObject: TypeAlias = dict[str, Any]

MOST_RESPONSE_BYTES = 256 * 2**20
"""Eight samples of 8,192 tokens with log-probabilities are some 15 MB; of llama.cpp's server, with its twenty
alternatives a token, some 150 MB."""
_MOST_ERROR_BYTES = 64 * 2**10
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class JsonClient:
    """An endpoint that takes and gives JSON.

    The connections are opened when first needed, in the event loop that is running then, and kept. A proxy that the
    environment names (``HTTPS_PROXY`` and so on) is used, except for loopback.

    Args:
        base_url: address without the part that names the operation.
        credentials: headers of every request.
        max_connections: most connections at once.
        connect_timeout_s: most seconds to open one.
    """

    def __init__(
        self, base_url: str, credentials: Credentials, *, max_connections: int, connect_timeout_s: float
    ) -> None:
        self.origin = origin(base_url)
        self._base_url = base_url
        self._credentials = credentials
        self._max_connections = max_connections
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"JsonClient({self.origin!r})"

    def redact(self, text: str) -> str:
        """A text without the secrets that are sent to this endpoint."""
        return self._credentials.redact(text)

    async def get(self, path: str) -> JsonObject:
        """Receive a JSON object.

        Raises:
            CallError: as for `post`.
        """
        async with self._response(path, None) as response:
            return self._parsed(await self._read(response, MOST_RESPONSE_BYTES), response)

    async def post(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Send JSON and receive a JSON object.

        Raises:
            CallError: typed by what went wrong; also where the body of a success holds an error.
        """
        async with self._response(path, body) as response:
            return self._parsed(await self._read(response, MOST_RESPONSE_BYTES), response)

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[JsonObject]:
        """Send JSON and receive the JSON objects of an event stream, up to ``[DONE]``.

        An endpoint that answers with one JSON object instead gives that one. Close the iterator (`aclosing`) to end
        the request early.

        Raises:
            CallError: as for `post`; also where the stream ends without ``[DONE]``, after all that came was given.
        """
        async with self._response(path, body) as response:
            if "event-stream" not in response.content_type:
                yield self._parsed(await self._read(response, MOST_RESPONSE_BYTES), response)
                return
            async with (
                aclosing(_chunks(response, MOST_RESPONSE_BYTES, self.origin)) as chunks,
                aclosing(sse.events(chunks)) as events,
            ):
                async for data in events:
                    if data.strip() == b"[DONE]":
                        return
                    yield self._parsed(data, response)
            raise ConnectionFailedError(f"{self.origin} broke off in the midst of its answer")

    async def aclose(self) -> None:
        """Close the connections; requests that are under way fail."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _response(self, path: str, body: Mapping[str, Any] | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a POST, or without a body to a GET, its status checked.

        Leaving it early closes its connection, and so ends the work.
        """
        method, data = ("GET", None) if body is None else ("POST", _encoded(body))
        # What aiohttp raises can hold the request's headers, and with them the key: never chain it ("from None").
        try:
            url = f"{self._base_url}{path}"
            async with self._here().request(method, url, data=data, allow_redirects=False) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                yield response
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from None

    def _here(self) -> aiohttp.ClientSession:
        """The session of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ConnectionFailedError(f"the connection to {self.origin} has been closed")
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._max_connections, ttl_dns_cache=300, socket_factory=_lasting_socket
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s),
                headers={"Content-Type": "application/json", "User-Agent": "smcs", **self._credentials.headers},
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=_proxy(self._base_url),
            )
        return self._session

    async def _refusal(self, response: aiohttp.ClientResponse) -> CallError:
        body = (await self._read(response, _MOST_ERROR_BYTES, cut=True)).decode("utf-8", "replace")
        return error_of_response(
            response.status,
            body,
            where=self.origin,
            redact=self.redact,
            retry_after=retry_after_s(response.headers),
        )

    async def _read(self, response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
        parts = []
        async with aclosing(_chunks(response, limit, self.origin, cut=cut)) as chunks:
            async for chunk in chunks:
                parts.append(chunk)  # noqa: PERF401 - the iterator is to be closed whatever happens
        return b"".join(parts)

    def _parsed(self, data: bytes, response: aiohttp.ClientResponse) -> JsonObject:
        try:
            payload = json.loads(data)
        except ValueError:
            raise self._not_json(data, response) from None
        error = error_in_body(payload, where=self.origin, redact=self.redact)
        if error is not None:
            raise error
        if not isinstance(payload, dict):
            raise self._not_json(data, response)
        return payload

    def _not_json(self, data: bytes, response: aiohttp.ClientResponse) -> MalformedResponseError:
        start = shorten(self.redact(data[:2000].decode("utf-8", "replace")))[:80]
        hint = "; check base_url: it usually ends in /v1" if response.content_type == "text/html" else ""
        return MalformedResponseError(
            f"{self.origin} answered with {response.content_type} that is not a JSON object, "
            f"{f'beginning {start!r}' if start else 'and empty'}{hint}",
            status=response.status,
        )

    def _broken(self, error: Exception) -> CallError:
        """What a failed connection is called."""
        match error:
            case aiohttp.ClientConnectorDNSError():
                what = f"the host of {self.origin} is not known; check base_url and the network"
            case aiohttp.ConnectionTimeoutError():
                seconds = f"{self._connect_timeout_s:g} s"
                what = f"no connection to {self.origin} within {seconds}; check base_url and the network"
            case aiohttp.ClientSSLError() | ssl.SSLError():
                what = f"no secure connection to {self.origin}: its certificate or protocol is not accepted"
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                what = f"no way to {self.origin} through the proxy that the environment names"
            case aiohttp.ClientConnectorError():
                what = f"cannot connect to {self.origin} ({_reason(error)}); is the server running, and base_url right?"
            case aiohttp.ClientResponseError():
                return MalformedResponseError(f"{self.origin} does not speak HTTP as it should; check base_url")
            case _:
                what = f"the connection to {self.origin} broke before the answer was complete"
        failed = ConnectionFailedError(what)
        failed.charged = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        return failed


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _lasting_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that is probed while it is idle: a long generation sends nothing for minutes, and routers forget it."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    return made


def _reason(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    return os.strerror(number).lower() if number else shorten(error.os_error.strerror or "no reason given")


async def _chunks(
    response: aiohttp.ClientResponse, limit: int, where: str, *, cut: bool = False
) -> AsyncGenerator[bytes]:
    """The body as it comes.

    Args:
        limit: most bytes.
        cut: whether a longer body is cut off rather than an error.
    """
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            if cut:
                yield chunk[: limit - size]
                return
            raise MalformedResponseError(f"the answer of {where} is longer than {limit // 2**20} MiB")
        yield chunk


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
