"""The simulated endpoint, as far as the clients' tests do not show it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from click.testing import CliRunner

from smcs.llms import openai, simulated
from smcs.protocols import BuildContext, Progress
from smcs.testing._command import command
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.types import Message, Request, Sampling


@asynccontextmanager
async def process(*options: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smcs.testing.endpoint", "--port", "0", *options, stdout=asyncio.subprocess.PIPE
    )
    assert started.stdout is not None
    found = re.search(rb"http\S+", await started.stdout.readline())
    assert found is not None
    try:
        yield found[0].decode(), started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def get(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.json()


async def test_as_a_process_it_serves_counts_and_stops_when_told(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "What is 2 + 2?", "answer": "4"}))
    options = ["--llm", "right:1.0", "--llm", "wrong:0", "--answers", str(tmp_path / "q.jsonl"), "--no-logprobs"]
    async with process(*options) as (base_url, started):
        models = await get(f"{base_url}/models")
        assert [model["id"] for model in models["data"]] == ["right", "wrong"]
        for name in ("right", "wrong"):
            settings = openai.Settings(name=name, backend="openai", base_url=base_url, model=name)
            llm = openai.create(settings, BuildContext(tmp_path))
            request = Request((Message("user", "What is 2 + 2?"),), Sampling(logprobs=True), n=3)
            made = await llm.complete(request, Progress())
            assert [c.text.endswith("The answer is 4.") for c in made] == [name == "right"] * 3
            assert made[0].token_logprobs is None
            await llm.aclose()
        stats = await get(base_url.removesuffix("/v1") + "/stats")
        assert (stats["calls"], stats["in_flight"], stats["abandoned"]) == (2, 0, 0)
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), 30) == 0


def test_wrong_options_are_one_message() -> None:
    for options in (
        ["--llm", "a:2"],
        ["--fault", "rate_limit"],
        ["--fault", "earthquake=0.1"],
        ["--answers", "nowhere"],
    ):
        result = CliRunner().invoke(command, ["--port", "0", *options])
        assert result.exit_code in {1, 2}
        assert result.output
        assert "Traceback" not in result.output


async def test_samples_differ_without_a_seed_and_repeat_with_one(tmp_path: Path) -> None:
    async with SimulatedEndpoint(simulated.Settings(name="small", backend="simulated")) as endpoint:
        settings = openai.Settings(name="small", backend="openai", base_url=endpoint.base_url, model="small")
        llm = openai.create(settings, BuildContext(tmp_path))
        texts = []
        for seed in (None, None, 4, 4):
            (made,) = await llm.complete(Request((Message("user", "Why?"),), Sampling(seed=seed)), Progress())
            texts.append(made.text)
        await llm.aclose()
    assert len(set(texts)) == 3
    assert texts[2] == texts[3]


async def test_a_request_that_is_none_is_refused() -> None:
    async with SimulatedEndpoint(simulated.Settings(name="small", backend="simulated")) as endpoint:
        url = f"{endpoint.base_url}/chat/completions"
        async with aiohttp.ClientSession() as session:
            for body in (b"{", b"[]", b'{"model": "small"}', b'{"model": "small", "messages": [{}]}'):
                async with session.post(url, data=body) as response:
                    assert response.status == 400, body
                    assert "error" in await response.json()
