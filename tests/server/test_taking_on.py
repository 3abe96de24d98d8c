"""How much a server takes on, whom it lets in, and that nothing goes on for a client that has left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import openai
import pytest
from tests.server.local import Local, local
from tests.unit.strategies.conftest import Lab

from smcs.errors import ConfigError
from smcs.server.guard import Rates, is_loopback, keys_of
from smcs.server.queue import Queue
from smcs.server.settings import ServerSettings
from smcs.types import Limits

KEY = "a-key-of-some-length"


@contextlib.asynccontextmanager
async def http(here: Local) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=here.base_url.removesuffix("v1")) as session:
        yield session


def hold(here: Local) -> None:
    """Let no LLM answer until told to."""
    for llm in here.lab.llms.values():
        llm.released.clear()


def release(here: Local) -> None:
    for llm in here.lab.llms.values():
        llm.released.set()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


class TestHangingUp:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_every_call_that_it_caused_is_cancelled(self, stream: bool) -> None:
        async with local(Lab()) as here:
            hold(here)
            async with http(here) as session:
                body = {"model": "smcs", "messages": [{"role": "user", "content": "question fig"}], "stream": stream}
                task = asyncio.create_task(session.post("v1/chat/completions", json=body))
                await until(lambda: here.calls == 3)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    (await task).close()
            asked = [llm for llm in here.lab.llms.values() if llm.requests]
            await until(lambda: all(llm.cancelled for llm in asked))
            await until(lambda: here.service.queue.running == 0)

    async def test_a_stream_that_has_begun_is_cancelled_too(self) -> None:
        async with local(Lab()) as here:
            hold(here)
            stream = await here.ask(stream=True)
            await anext(aiter(stream))
            await stream.close()
            asked = [llm for llm in here.lab.llms.values() if llm.requests]
            assert len(asked) == 3
            await until(lambda: all(llm.cancelled for llm in asked))

    async def test_one_that_waits_leaves_the_queue(self) -> None:
        async with local(Lab(), running=1, waiting=1) as here:
            hold(here)
            first = asyncio.create_task(here.ask())
            await until(lambda: here.service.queue.running == 1)
            second = asyncio.create_task(here.ask())
            await until(lambda: here.service.queue.waiting == 1)
            second.cancel()
            await until(lambda: here.service.queue.waiting == 0)
            release(here)
            assert (await first).choices


class TestTheQueue:
    async def test_beyond_it_clients_are_told_to_come_back(self) -> None:
        async with local(Lab(), running=1, waiting=1) as here:
            hold(here)
            tasks = [asyncio.create_task(here.ask(stream=bool(i))) for i in range(2)]
            await until(lambda: here.service.queue.running == here.service.queue.waiting == 1)
            error = await here.refused()
            assert isinstance(error, openai.RateLimitError)
            assert error.code == "queue_full"
            assert int(error.response.headers["retry-after"]) >= 1
            release(here)
            first, second = await asyncio.gather(*tasks)
            assert first.choices
            assert [chunk async for chunk in second]

    async def test_a_deadline_counts_while_waiting(self) -> None:
        async with local(Lab(), running=1, seconds=30) as here:
            hold(here)
            first = asyncio.create_task(here.ask())
            await until(lambda: here.service.queue.running == 1)
            error = await here.refused(extra_body={"smcs": {"deadline_s": 0.05}})
            assert error.status_code == 504
            release(here)
            await first

    async def test_the_server_s_limits_hold_whatever_a_request_asks_for(self) -> None:
        async with local(Lab(), calls=2) as here:
            done = await here.ask(extra_body={"smcs": {"budget_calls": 50, "deadline_s": 600}})
            assert here.calls <= 2
            assert done.smcs["cuts"]
            assert here.service.limits(Limits(calls=50, seconds=3)) == Limits(calls=2, seconds=3)

    async def test_a_queue_says_when_it_is_worth_coming_back(self) -> None:
        queue = Queue(running=2, waiting=0)
        async with queue.place(), queue.place():
            assert 1 <= queue.retry_after() <= 120


class TestStopping:
    async def test_what_is_running_is_finished(self) -> None:
        async with local(Lab()) as here:
            hold(here)
            task = asyncio.create_task(here.ask())
            await until(lambda: here.calls == 3)
            here.server.should_exit = True
            await asyncio.sleep(0.3)
            release(here)
            assert (await task).choices[0].message.content


class TestWhoIsLetIn:
    async def test_only_who_has_a_key(self, monkeypatch: Any, caplog: Any) -> None:
        monkeypatch.setenv("KEYS", f"{KEY} {KEY}-2")
        caplog.set_level(logging.INFO)
        async with local(Lab(), api_key_env=("KEYS",)) as here:
            for key in ("none", KEY + "x", KEY[:-1]):
                headers = {"Authorization": f"Bearer {key}"}
                with pytest.raises(openai.AuthenticationError) as e:
                    await here.client.models.list(extra_headers=headers)
                assert e.value.code == "invalid_api_key"
            for key in (KEY, f"{KEY}-2"):
                client = here.client.with_options(api_key=key)
                assert (await client.models.list()).data
            paths = ("health", "ready", "", "page/api/config", "metrics", "v1/embeddings")
            async with http(here) as session:
                statuses = {path: (await session.get(path)).status for path in paths}
        assert list(statuses.values()) == [200, 200, 200, 401, 401, 401]
        assert KEY not in caplog.text

    async def test_pages_of_elsewhere_are_not(self) -> None:
        async with local(Lab()) as here, http(here) as session:
            host = here.base_url.removeprefix("http://").removesuffix("/v1")
            for headers, status in (
                ({"Host": "evil.example"}, 403),
                ({"Host": f"localhost:{host.rpartition(':')[2]}"}, 200),
                ({"Origin": "http://evil.example"}, 403),
                ({"Origin": "null"}, 403),
                ({"Origin": f"http://{host}"}, 200),
            ):
                async with session.get("v1/models", headers=headers) as response:
                    assert response.status == status, headers
                    assert "error" in await response.json() or status == 200

    async def test_every_response_is_safe_to_show(self) -> None:
        async with local(Lab()) as here, http(here) as session:
            for path in ("v1/models", "health", "nothing", ""):
                async with session.get(path) as response:
                    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
                    assert response.headers["X-Content-Type-Options"] == "nosniff"
                    assert "server" not in response.headers

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_no_body_is_longer_than_allowed(self, chunked: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 1000

        async with local(Lab(), body_bytes=10_000) as here, http(here) as session:
            data: Any = chunks() if chunked else b" " * 100_000
            headers = {"Content-Type": "application/json"}
            try:
                async with session.post("v1/chat/completions", data=data, headers=headers) as response:
                    assert response.status == 413
                    assert (await response.json())["error"]["code"] == (None if chunked else "body_too_long")
            except aiohttp.ClientConnectionError:
                pass  # the server may close the connection before all of it is sent
            assert (await here.ask()).choices

    async def test_no_more_than_so_many_a_minute(self) -> None:
        async with local(Lab(), per_minute=10) as here:
            await here.client.models.list()
            with pytest.raises(openai.RateLimitError) as e:
                await here.client.models.list()
            assert 1 <= int(e.value.response.headers["retry-after"]) <= 6

    def test_each_client_has_its_own_rate(self) -> None:
        rates = Rates(10)
        assert [rates.take("a") > 0, rates.take("a") > 0, rates.take("b") > 0] == [False, True, False]

    def test_elsewhere_only_with_a_key(self, monkeypatch: Any) -> None:
        monkeypatch.setenv("SHORT", "abc")
        with pytest.raises(ConfigError, match="without a key"):
            keys_of(ServerSettings(host="0.0.0.0"))
        with pytest.raises(ConfigError, match="characters"):
            keys_of(ServerSettings(api_key_env=("SHORT",)))
        with pytest.raises(ConfigError, match="NOT_THERE"):
            keys_of(ServerSettings(host="0.0.0.0", api_key_env=("NOT_THERE",)))
        assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "::", "10.0.0.1", "example.org")] == [
            True,
            True,
            True,
            False,
            False,
            False,
        ]
