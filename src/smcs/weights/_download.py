"""One file over HTTP, resumed where it broke off."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smcs.errors import WeightsError
from smcs.weights._cache import disk_full
from smcs.weights.threads import Stopped

if TYPE_CHECKING:
    import requests

Advance = Callable[[int], None]
"""Told how many bytes are there by now."""

_TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two packets
_CHUNK = 1 << 16  # what a connection that breaks can lose
_TRIES = 5  # in a row, each without a single new byte
_PAUSE = 0.25  # seconds before the first of them, doubled for each further one


class SourceError(WeightsError):
    """This source does not give the file; another may."""


def download(
    session: requests.Session,
    url: str,
    target: Path,
    *,
    size: int | None,
    advance: Advance,
    stop: threading.Event,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch `url` to `target`, going on after what `target` already holds.

    Args:
        session: HTTP connections.
        url: where the file is.
        target: where it goes; a file that is there already is the beginning of it.
        size: bytes it must have in the end; None where unknown.
        advance: told the bytes in `target` while it grows.
        stop: set by another thread to give up.
        headers: sent along.

    Raises:
        SourceError: it cannot be had from there.
        DiskFullError: no room.
        Stopped: `stop` was set.
    """
    import requests  # noqa: PLC0415 - most starts download nothing

    fruitless = 0
    while True:
        before = _length(target)
        if size is not None and before == size:
            return
        try:
            if _continue(session, url, target, size=size, advance=advance, stop=stop, headers=headers):
                return
            reason = "the connection closed early"
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason = explain(error)
        except requests.RequestException as error:
            raise SourceError(f"{host(url)}: {explain(error)}") from error
        fruitless = 0 if _length(target) > before else fruitless + 1
        if fruitless >= _TRIES or (fruitless and reason == UNREACHABLE):
            raise SourceError(f"{host(url)}: {reason}")
        if stop.wait(_PAUSE * 2.0**fruitless):
            raise Stopped


def _continue(
    session: requests.Session,
    url: str,
    target: Path,
    *,
    size: int | None,
    advance: Advance,
    stop: threading.Event,
    headers: Mapping[str, str] | None,
) -> bool:
    """One request for what is missing; whether the file is whole now."""
    start = _length(target)
    asked = {"Accept-Encoding": "identity", **(headers or {})}
    if start:
        asked["Range"] = f"bytes={start}-"
    with session.get(url, headers=asked, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == 416:  # nothing is left to send, or what we have is too long
            total = _total(response)
            if total == start and size in (None, start):
                return True
            target.unlink()
            return False
        if response.status_code >= 400:
            raise SourceError(f"{host(url)}: HTTP {response.status_code} {response.reason}")
        resumed = response.status_code == 206 and _first(response) == start
        if start and not resumed:
            start = 0
        total = _total(response) if resumed else _declared(response)
        if size is not None and total is not None and total != size:
            raise SourceError(f"{host(url)} has a file of {total} bytes there, not of {size}")
        _write(response, target, start, advance, stop)
    length = _length(target)
    return length == total if total is not None else size in (None, length)


def _write(response: requests.Response, target: Path, start: int, advance: Advance, stop: threading.Event) -> None:
    done = start
    try:
        with target.open("r+b" if start else "wb") as sink:
            sink.seek(start)
            sink.truncate()
            for chunk in response.iter_content(_CHUNK):
                sink.write(chunk)
                done += len(chunk)
                advance(done)
                if stop.is_set():
                    raise Stopped
    except OSError as error:
        if is_full(error):
            raise disk_full(target.parent, target.name, "the disk is full") from error
        # requests' own errors are OSErrors too; they mean the network, and the caller knows them.
        if type(error).__module__.startswith("requests"):
            raise
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from error


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room on the disk."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


UNREACHABLE = "cannot be reached"


def explain(error: Exception) -> str:
    """Why a request failed, in few words and without addresses (they may hold passwords)."""
    import requests  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy cannot be reached"
    if isinstance(error, requests.exceptions.ReadTimeout):
        return "no data for 30 seconds"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return UNREACHABLE
    if isinstance(error, requests.exceptions.ConnectionError):
        # Broken in the middle is told from never begun by urllib3's own reason, which requests wraps.
        return UNREACHABLE if "NewConnectionError" in repr(error) or "NameResolution" in repr(error) else "it broke off"
    return type(error).__name__


def host(url: str) -> str:
    """The host of an address, without user and password."""
    return urlsplit(url).hostname or "?"


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _declared(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _first(response: requests.Response) -> int | None:
    """First byte of a ``Content-Range: bytes 100-199/200``."""
    value = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(value) if value.isdigit() else None


def _total(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(value) if value.isdigit() else None
