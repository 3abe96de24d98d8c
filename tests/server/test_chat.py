"""Chat completions as the official client asks for them, from a real server process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.server.process import Server

QUESTION = "What is 5 + 5? Finish with: The answer is X."


class TestAnswers:
    def test_the_pool_answers_as_one_model(self, server: Server) -> None:
        with server.client() as client:
            completion = client.chat.completions.create(model="smcs", messages=[{"role": "user", "content": QUESTION}])
        assert completion.choices[0].message.content is not None
        assert "The answer is" in completion.choices[0].message.content
        assert completion.id.startswith("smcs-")
        assert completion.usage is not None
        assert completion.usage.total_tokens > 0

    def test_a_stream_is_what_a_whole_answer_is(self, server: Server) -> None:
        asked: dict[str, Any] = {"model": "smcs", "messages": [{"role": "user", "content": QUESTION}], "seed": 7}
        with server.client() as client:
            whole = client.chat.completions.create(**asked)
            chunks = list(client.chat.completions.create(**asked, stream=True))
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
        assert "".join(texts) == whole.choices[0].message.content

    async def test_the_async_client_runs_a_tool_that_the_pool_calls(self, server: Server) -> None:
        tools: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
        turns: Any = [{"role": "user", "content": "Use add to find out what 5 + 5 is."}]
        async with server.async_client() as client:
            done = await client.chat.completions.create(model="smcs", messages=turns, tools=tools)
            message = done.choices[0].message
            assert message.tool_calls
            turns += [message, {"role": "tool", "content": "10", "tool_call_id": message.tool_calls[0].id}]
            done = await client.chat.completions.create(model="smcs", messages=turns, tools=tools)
        assert done.choices[0].message.content


class TestModels:
    def test_the_default_every_strategy_and_every_llm_are_models(self, server: Server) -> None:
        with server.client() as client:
            names = [model.id for model in client.models.list()]
            assert {"smcs", "smcs/majority", "smcs/smcs", "strong", "org/middling:7b"} <= set(names)
            assert client.models.retrieve("org/middling:7b").id == "org/middling:7b"

    def test_one_that_is_not_there(self, server: Server) -> None:
        with server.client() as client, pytest.raises(openai.NotFoundError, match="did you mean 'smcs/majority'") as e:
            client.chat.completions.create(model="smcs/majorty", messages=[{"role": "user", "content": QUESTION}])
        assert e.value.code == "model_not_found"
        assert e.value.param == "model"


class TestHealth:
    @pytest.mark.parametrize("path", ["health", "ready"])
    def test_it_says_that_it_is_well(self, server: Server, path: str) -> None:
        with server.client() as client:
            assert client.get(f"{server.url}/{path}", cast_to=dict[str, object])["status"] in {"ok", "ready"}

    def test_it_stops_when_told_to_once_what_is_running_is_done(
        self, serve: Callable[..., Server], folder: Path
    ) -> None:
        slow = folder / "slow.toml"
        fast = (folder / "pool.toml").read_text(encoding="utf-8")
        slow.write_text(
            fast.replace('backend = "simulated"', 'backend = "simulated"\nlatency_s = 1.0'), encoding="utf-8"
        )
        server = serve(pool=slow)
        asked: dict[str, Any] = {"model": "strong", "messages": [{"role": "user", "content": QUESTION}]}
        with server.client() as client, ThreadPoolExecutor(1) as thread:
            answer = thread.submit(lambda: client.chat.completions.create(**asked))
            ready = f"{server.url}/ready"
            while not client.get(ready, cast_to=dict[str, Any])["running"]:
                assert not answer.done()
            assert server.stop() == (0, "")
            assert answer.result().choices[0].message.content
