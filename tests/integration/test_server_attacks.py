"""The server as somebody meets it who means harm: every attack is refused by name, and the server goes on serving."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.serving import serving, simulated_bank

ASKING = "/v1/chat/completions"
QUESTION = "What is 14 + 6? Finish with: The answer is X."


class Server:
    """A running server, and ways to talk to it that no ordinary client has."""

    def __init__(self, url: str, log: Path) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port = parts.hostname, parts.port
        self.name = f"{self.host}:{self.port}"
        self._log = log

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            given = {"Host": self.name, **{k.replace("_", "-"): v for k, v in headers.items()}}
            if body is not None:
                given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **given}
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def post(self, body: Any, path: str = ASKING, **headers: str) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = self.request("POST", path, data, **headers)
        return status, json.loads(answer)

    def ask(self, **more: Any) -> tuple[int, dict[str, Any]]:
        return self.post({"model": "smcs", "seed": 1, "messages": [{"role": "user", "content": QUESTION}], **more})

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are; what comes back before the server closes."""
        with socket.create_connection((self.host, self.port), timeout=60) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def serves(self) -> None:
        """Whether it still answers, and rightly."""
        status, answer = self.ask()
        assert status == 200
        assert answer["choices"][0]["message"]["content"].endswith("The answer is 20.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("attacked")
    simulated_bank(made)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    arguments = ["--traces", "full", "--traces-file", "traces.db", "--access-log"]
    with serving(folder, *arguments, memory_gib=4) as url:
        made = Server(url, folder / "serve.log")
        made.serves()
        yield made
        made.serves()  # after all that was done to it
        assert "Traceback" not in made.log()


def refused(answer: tuple[int, dict[str, Any]], status: int = 400) -> dict[str, Any]:
    """The error of a refusal in the API's form."""
    assert answer[0] == status, answer
    error: dict[str, Any] = answer[1]["error"]
    assert error["message"]
    return error


class TestOtherPages:
    """A page of elsewhere, open in the browser of somebody who runs the server."""

    @pytest.mark.parametrize("path", ["/", "/v1/models", "/page/api/config", "/page/static/js/main.js", "/metrics"])
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1"]
    )
    def test_a_name_that_was_made_to_lead_here(self, server: Server, path: str, host: str) -> None:
        assert server.request("GET", path, Host=host)[0] in {400, 403}

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "\x7f", "file://"]
    )
    def test_a_request_of_its_scripts(self, server: Server, origin: str) -> None:
        asked = {"model": "smcs", "messages": [{"role": "user", "content": QUESTION}]}
        refused(server.post(asked, Origin=origin), 403)
        refused(server.post(asked, Origin=origin, Content_Type="text/plain"), 403)

    def test_no_origin_is_ever_allowed(self, server: Server) -> None:
        asked = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST"}
        _, headers, _ = server.request("OPTIONS", ASKING, None, **asked)
        assert not [name for name in headers if name.startswith("access-control-")]

    @pytest.mark.parametrize("path", ["/", "/v1/models", "/nothing/here", "/page/static/nothing.js", ASKING])
    def test_every_response_has_the_safe_headers(self, server: Server, path: str) -> None:
        _, headers, _ = server.request("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


class TestSizes:
    def test_a_body_that_says_it_is_long(self, server: Server) -> None:
        head = f"POST {ASKING} HTTP/1.1\r\nHost: {server.name}\r\nContent-Length: 999999999999\r\n\r\n"
        assert server.raw(head.encode()).startswith(b"HTTP/1.1 413")  # before any of it came

    def test_a_body_that_does_not_say_it(self, server: Server) -> None:
        head = f"POST {ASKING} HTTP/1.1\r\nHost: {server.name}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        with socket.create_connection((server.host, server.port), timeout=60) as connection:
            connection.sendall(head)
            block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
            for _ in range(5):
                try:
                    connection.sendall(block)
                except OSError:
                    break  # it has stopped listening to this
            assert b" 413 " in connection.recv(4096)

    def test_a_bomb_is_not_unpacked(self, server: Server) -> None:
        bomb = gzip.compress(b'{"model":"smcs","x":"' + b" " * 50_000_000 + b'"}')
        status, _ = server.post(bomb, Content_Encoding="gzip")
        assert status in {400, 415}

    @pytest.mark.parametrize(
        "path",
        ["/v1/models/" + "a" * 5000, "/page/api/traces?text=" + "a" * 60000, "/" + "%00" * 2000],
    )
    def test_long_addresses(self, server: Server, path: str) -> None:
        assert 400 <= server.request("GET", path)[0] < 500

    def test_long_headers(self, server: Server) -> None:
        with socket.create_connection((server.host, server.port), timeout=60) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {server.name}\r\nX: ".encode())
            with contextlib.suppress(OSError):  # it stops listening to this
                for _ in range(64):
                    connection.sendall(b"a" * 65536)
                connection.sendall(b"\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b" 200 " not in connection.recv(65536).partition(b"\r\n")[0]

    @pytest.mark.parametrize("garbage", [b"\x00" * 64, b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"HELO x\r\n\r\n"])
    def test_what_is_not_http(self, server: Server, garbage: bytes) -> None:
        assert b" 200 " not in server.raw(garbage).partition(b"\r\n")[0]

    @pytest.mark.parametrize(
        "asked",
        [
            {"n": 10**9},
            {"smcs": {"n_aggregations": 10**9}},
            {"smcs": {"k": 10**9}},
            {"smcs": {"strategy": "smcs:n_aggregations=1000000000"}},
            {"model": "smcs/smcs:n_aggregations=1000000000"},
            {"model": "smcs/best-of-n:n=1000000000"},
            {"model": "smcs/moa:layers=1000000000"},
            {"model": "smcs/self-consistency:n=1000000000"},
            {"smcs": {"strategy": "majority," * 60}},
            {"logit_bias": {str(i): 1 for i in range(1000)}},
            {"stop": ["x"] * 1000},
            {"max_tokens": 10**30},
        ],
    )
    def test_a_request_for_a_thousand_million_of_something(self, server: Server, asked: dict[str, Any]) -> None:
        refused(server.ask(**asked))

    @pytest.mark.parametrize(
        "settings", [{"n_aggregations": 10**9}, {"smcs": {}}, {"sampling": {"extra": {"n": 10**9}}}]
    )
    def test_the_same_through_the_page(self, server: Server, settings: dict[str, Any]) -> None:
        status, _, body = server.request(
            "POST", "/page/api/ask", json.dumps({"question": QUESTION, "settings": settings}).encode()
        )
        assert status == 400 or b'"event": "error"' in body or b'"event":"error"' in body


class TestJson:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"smcs"',
            b"{",
            b"\xff\xfe{}",
            b'{"model": "smcs", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
            b'{"model": "smcs", "messages": [{"role": "user", "content": "x"}], "temperature": -Infinity}',
            b'{"model": "smcs", "messages": [{"role": "user", "content": "x"}], "smcs": {"deadline_s": Infinity}}',
            b'{"model": "smcs", "messages": [{"role": "user", "content": "x"}], "seed": 1e400}',
            b'{"model": "smcs", "seed": ' + b"9" * 5000 + b"}",
            b'{"model": "smcs", "messages": ' + b"[" * 100_000,
            b'{"model": "smcs", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
            b'{"model": "smcs", "messages": [], "messages": [[]]}',
        ],
        ids=lambda body: body[:60].decode("latin-1") + str(len(body)),
    )
    def test_what_is_no_request(self, server: Server, body: bytes) -> None:
        refused(server.post(body))

    def test_deep_schemas_are_not_sent_on(self, server: Server) -> None:
        deep: Any = {}
        for _ in range(100):
            deep = {"properties": {"a": deep}}
        tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
        error = refused(server.ask(tools=[tool]))
        assert "nested" in error["message"]

    @pytest.mark.parametrize(
        "text", ["\ud800", "half \udfff of one", "\x00", "\x1b[31mred", "\u202e", "a" + "\u0301" * 5000]
    )
    def test_texts_that_are_hard_to_write_down(self, server: Server, text: str) -> None:
        status, answer = server.ask(messages=[{"role": "user", "content": f"{QUESTION} {text}"}], user=text[:500])
        assert status in {200, 400}, answer
        assert server.ask(model=f"no such {text[:100]}")[0] in {400, 404}
        status, _, body = server.request("GET", "/page/api/traces?limit=5")
        assert status == 200
        json.loads(body)


class TestReach:
    """No request names a file or an address, or puts something of its own into the calls."""

    @pytest.mark.parametrize(
        "extras",
        [
            {"base_url": "http://127.0.0.1:1/v1"},
            {"pool": "/etc/passwd"},
            {"bank": "/etc/passwd"},
            {"sampling": {"extra": {"model": "x"}}},
            {"sampling": {"base_url": "http://127.0.0.1:1"}},
            {"aggregation_sampling": {"extra": {"x": 1}}},
            {"api_key_env": "PATH"},
            {"headers": {"Authorization": "x"}},
            {"strategy": "smcs:sampling.extra.base_url='http://127.0.0.1:1'"},
            {"strategy": "smcs:aggregation_sampling={extra={x=1}}"},
            {"strategy": "single:llm=careful:base_url='http://127.0.0.1:1'"},
            {"strategy": "../../etc/passwd"},
            {"strategy": "_aggregate"},
            {"strategy": "os"},
            {"aggregator": "http://127.0.0.1:1/v1"},
        ],
        ids=str,
    )
    def test_settings(self, server: Server, extras: dict[str, Any]) -> None:
        answer = server.ask(smcs=extras)
        assert answer[0] in {400, 404}, answer
        assert answer[1]["error"]["message"]

    @pytest.mark.parametrize(
        "key", ["sampling.extra.x=1", "aggregation_sampling.extra.x=1", "base_url='http://x'", "bank='/etc'"]
    )
    def test_settings_through_the_page(self, server: Server, key: str) -> None:
        asked = json.dumps({"question": QUESTION, "overrides": [key]}).encode()
        status, _, body = server.request("POST", "/page/api/ask", asked)
        assert status == 400 or b'"error"' in body

    @pytest.mark.parametrize(
        "model",
        ["smcs/../../etc/passwd", "smcs/os", "smcs/_aggregate", "/etc/passwd", "smcs/smcs:k=2,majority", "smcs/"],
    )
    def test_model_names(self, server: Server, model: str) -> None:
        answer = server.ask(model=model)
        assert answer[0] in {400, 404}, answer

    @pytest.mark.parametrize(
        "path",
        [
            "/page/static/../../../../../../etc/passwd",
            "/page/static/%2e%2e/%2e%2e/routes.py",
            "/page/static//etc/passwd",
            "/page/static/..%2froutes.py",
            "/page/static/js/..\\..\\routes.py",
            "/v1/models/..%2f..%2fetc%2fpasswd",
            "/page/api/runs/..%2f..%2fetc%2fpasswd",
            "/page/api/traces/..%2f..%2fetc%2fpasswd",
            "/page/api/traces/'%20OR%201=1--",
            "//etc/passwd",
        ],
    )
    def test_paths(self, server: Server, path: str) -> None:
        status, _, body = server.request("GET", path)
        assert status in {400, 404}
        assert b"root:" not in body
        assert b"import " not in body


def test_a_log_line_cannot_be_forged(server: Server) -> None:
    server.request("GET", "/x%0a2026-01-01%20CRITICAL%20forged%0d%1b[31m")
    server.request("GET", "/page/static/%0aforged")
    server.ask(model="a\nforged: by the model's name")
    assert not [line for line in server.log().splitlines() if line.startswith(("2026-01-01 CRITICAL", "forged"))]
    assert "\x1b" not in server.log()


KEY = "sk-test-0123456789abcdef0123"


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[Server]:
    arguments = [
        "--api-key-env",
        "SMCS_TEST_KEY",
        "--traces",
        "full",
        "--traces-file",
        "guarded.db",
        "--access-log",
    ]
    with serving(folder, *arguments, env={"SMCS_TEST_KEY": KEY}) as url:
        made = Server(url, folder / "serve.log")
        yield made
        assert KEY not in made.log()
        assert KEY.encode() not in (folder / "guarded.db").read_bytes()


class TestKeys:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", ASKING),
            ("GET", "/v1/models"),
            ("POST", "/v1/embeddings"),
            ("GET", "/openapi.json"),
            ("GET", "/metrics"),
            ("GET", "/page/api/config"),
            ("GET", "/page/api/traces"),
            ("POST", "/page/api/ask"),
            ("GET", "//v1/models"),
            ("GET", "/page/static/../api/traces"),
            ("GET", "/page/static/..%2fapi/traces"),
            ("GET", "/health/../v1/models"),
            ("GET", "/healthy"),
        ],
    )
    @pytest.mark.parametrize("key", ["", "Bearer ", "Bearer wrong", "Basic c2stdGVzdA==", f"bearer{KEY}", KEY[:-1]])
    def test_nothing_without_it(self, guarded: Server, method: str, path: str, key: str) -> None:
        status, _, body = guarded.request(method, path, b"{}" if method == "POST" else None, Authorization=key)
        assert status in {401, 404}
        assert b"careful" not in body
        assert KEY.encode() not in body

    def test_with_it(self, guarded: Server) -> None:
        status, _, body = guarded.request("GET", "/v1/models", Authorization=f"Bearer {KEY}")
        assert status == 200
        assert b"careful" in body

    def test_it_is_kept_out_of_what_is_kept(self, guarded: Server) -> None:
        asked = {"model": "smcs", "messages": [{"role": "user", "content": f"{QUESTION} My key is {KEY}"}]}
        assert guarded.post(asked, Authorization=f"Bearer {KEY}")[0] == 200
        _, _, traces = guarded.request("GET", "/page/api/traces", Authorization=f"Bearer {KEY}")
        assert KEY.encode() not in traces


def test_it_listens_to_others_only_with_a_key(folder: Path) -> None:
    with pytest.raises(AssertionError, match="api-key-env"), serving(folder, "--host", "0.0.0.0"):
        pass
