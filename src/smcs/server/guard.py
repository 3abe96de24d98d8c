"""Who is let in, and how much of what: host and origin, keys, rates, sizes, and the headers that keep browsers safe.

One layer around the whole app, so that no route can be forgotten.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smcs.config import secret
from smcs.errors import ConfigError
from smcs.server.openai.errors import UNEXPECTED, ApiError
from smcs.server.page.assets import HEADERS
from smcs.server.settings import ServerSettings

logger = logging.getLogger(__name__)
access = logging.getLogger("smcs.server.access")

_OPEN = ("/health", "/ready", "/page/static/")
"""Paths that need no key: the page's own files hold nothing, and it asks for the key itself."""
_LONGEST_PATH = 4000
_CLIENTS_KEPT = 10_000
_PER_MINUTE = 600


def keys_of(settings: ServerSettings) -> tuple[str, ...]:
    """The keys that let a client in, from the environment.

    Raises:
        ConfigError: a variable is not set, a key is too short to be one, or there is none where there has to be.
    """
    values = [part for name in settings.api_key_env for part in (secret(name, "the server") or "").split()]
    if any(len(value) < settings.least_key_length for value in values):
        raise ConfigError(f"an API key needs at least {settings.least_key_length} characters")
    if not values and not is_loopback(settings.host):
        raise ConfigError(
            f"the server would listen on {settings.host}, where others can reach it, without a key; name an "
            "environment variable that holds one (--api-key-env), or listen on 127.0.0.1"
        )
    return tuple(values)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(slots=True)
class Rates:
    """How many requests each client has left: so many a minute, and a tenth of them at once.

    Attributes:
        per_minute: None for any number.
    """

    per_minute: int | None
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str) -> float:
        """Count a request; seconds until it may be made, 0 where it may now."""
        if self.per_minute is None:
            return 0.0
        now, rate, most = time.monotonic(), self.per_minute / 60, max(1.0, self.per_minute / 10)
        left, since = self._left.pop(client, (most, now))
        left = min(most, left + (now - since) * rate)
        wait = 0.0 if left >= 1 else (1 - left) / rate
        self._left[client] = (left if wait else left - 1, now)
        if len(self._left) > _CLIENTS_KEPT:
            self._left.popitem(last=False)
        return wait


class Guard:
    """The layer (see the module).

    Args:
        app: what it guards.
        settings: of the server.
        keys: that let a client in; empty where none is needed.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, keys: Iterable[str]) -> None:
        self._app = app
        self._settings = settings
        self._keys = tuple(_digest(key) for key in keys)
        self._rates = Rates(settings.per_minute or (_PER_MINUTE if self._keys else None))
        self._hosts = {host.lower() for host in (*settings.allowed_hosts, settings.host)}
        if is_loopback(settings.host):
            self._hosts |= {"localhost", "127.0.0.1", "::1"}
        elif not settings.allowed_hosts:
            self._hosts = set()  # the key is what keeps strangers out there, and it may be known by many names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message))
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, _limited(receive, self._settings.body_bytes), sending)
        except ApiError as error:
            await error.response()(scope, receive, sending)
        except Exception:
            logger.exception("%s %s failed", scope["method"], _asked(scope))
            if status:
                raise
            await UNEXPECTED.response()(scope, receive, sending)
        finally:
            access.info("%s %s %d %.3f s", scope["method"], _asked(scope), status, time.monotonic() - begin)

    def _check(self, scope: Scope) -> None:
        """Whether it may pass, by what stands before its body.

        Raises:
            ApiError: it may not.
        """
        headers, path = Headers(scope=scope), scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_PATH:
            raise ApiError(414, "the address is too long", code="uri_too_long")
        self._check_origin(headers)
        if path == "/" or path.startswith(_OPEN):
            return
        client = scope["client"][0] if scope["client"] else ""
        if self._keys:
            client = self._key(headers)
        wait = self._rates.take(client)
        if wait:
            later = {"Retry-After": str(int(wait) + 1)}
            raise ApiError(429, f"more than {self._rates.per_minute} requests a minute", None, "rate_limit", later)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._settings.body_bytes:
            raise _too_long(self._settings.body_bytes)

    def _check_origin(self, headers: Headers) -> None:
        """Against pages of elsewhere: by a name that leads here (DNS rebinding), or by a form."""
        host = headers.get("host", "")
        if self._hosts and _hostname(host) not in self._hosts:
            raise ApiError(403, f"this server does not go by the name {host[:200]!r}; --allowed-host adds one")
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host.lower():
            raise ApiError(403, "requests from pages of other origins are not let in")

    def _key(self, headers: Headers) -> str:
        """Which key was given. All are compared, each in constant time.

        Raises:
            ApiError: none, or a wrong one.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = _digest(given.strip()) if scheme.lower() == "bearer" else b""
        matches = [i for i, key in enumerate(self._keys) if hmac.compare_digest(key, digest)]
        if not matches:
            message = "the API key is wrong" if digest else "an API key is needed: Authorization: Bearer KEY"
            raise ApiError(401, message, None, "invalid_api_key", {"WWW-Authenticate": "Bearer"})
        return f"key {matches[0]}"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _asked(scope: Scope) -> str:
    """The path as it came: decoded, it could hold a line break and so forge a line of the log."""
    return ascii(scope["raw_path"].decode("latin-1"))[1:-1]


def _place(origin: str) -> str:
    """Host and port of an ``Origin``; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _limited(receive: Receive, most: int) -> Receive:
    """The same, counting the bytes of the body."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > most:
                told = _too_long(most)
                raise HTTPException(told.status, told.message, dict(told.headers))
        return message

    return limited


def _too_long(most: int) -> ApiError:
    return ApiError(413, f"the body is longer than {most} bytes", code="body_too_long", headers={"Connection": "close"})


def _add_headers(headers: MutableHeaders, safe: Mapping[str, str] = HEADERS) -> None:
    for name, value in safe.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
