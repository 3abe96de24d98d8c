"""Tools, JSON and tokens through an OpenAI-compatible endpoint, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smcs.llms.openai import Settings, create
from smcs.llms.simulated import Settings as SimulatedSettings
from smcs.pool import PooledLLM
from smcs.protocols import BuildContext
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.types import Completion, Failure, Message, Output, Request, Sampling, ToolCall

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo"]}, "days": {"type": "integer"}},
}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": PARAMETERS}}


async def ask(endpoint: SimulatedEndpoint, output: Output, *messages: Message, **settings: Any) -> Completion | Failure:
    made = Settings(name="mine", backend="openai", base_url=endpoint.base_url, model="small", **settings)
    llm = PooledLLM(create(made, BuildContext(cache_dir=None)), made)  # type: ignore[arg-type]
    try:
        turns = messages or (Message("user", "Use weather for Oslo."),)
        (result,) = await llm.complete(Request(turns, Sampling(seed=1, output=output)))
        return result
    finally:
        await llm.aclose()


@pytest.mark.parametrize("stream", [False, True])
class TestTools:
    async def test_a_call_is_the_response(self, stream: bool) -> None:
        async with SimulatedEndpoint(SimulatedSettings(name="small", backend="simulated")) as endpoint:
            done = await ask(endpoint, Output(tools=(WEATHER,)), stream=stream)
        assert isinstance(done, Completion)
        (call,) = done.tool_calls
        assert call.name == "weather"
        assert json.loads(call.arguments)["city"] == "Oslo"
        assert done.text == ""
        assert done.finish_reason == "tool_calls"

    async def test_turns_with_calls_reach_the_endpoint(self, stream: bool) -> None:
        call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
        turns = (
            Message("user", "Use weather."),
            Message("assistant", "", (call,)),
            Message("tool", "-3", (), "call_1"),
        )
        async with SimulatedEndpoint(SimulatedSettings(name="small", backend="simulated")) as endpoint:
            done = await ask(endpoint, Output(tools=(WEATHER,)), *turns, stream=stream)
            sent = endpoint.requests[0]["messages"]
        assert isinstance(done, Completion)
        assert done.text
        assert sent[1]["tool_calls"] == [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
        ]
        assert sent[2] == {"role": "tool", "content": "-3", "tool_call_id": "call_1"}

    async def test_json_and_tokens(self, stream: bool) -> None:
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": PARAMETERS}}
        async with SimulatedEndpoint(SimulatedSettings(name="small", backend="simulated")) as endpoint:
            done = await ask(endpoint, Output(response_format=schema, top_logprobs=2), stream=stream)
            sent = endpoint.requests[0]
        assert isinstance(done, Completion)
        assert json.loads(done.text)["city"] == "Oslo"
        assert sent["top_logprobs"] == 2
        assert done.tokens is not None
        assert "".join(token["token"] for token in done.tokens) == done.text


async def test_an_llm_that_can_be_given_no_tools_says_so() -> None:
    async with SimulatedEndpoint(SimulatedSettings(name="small", backend="simulated")) as endpoint:
        done = await ask(endpoint, Output(tools=(WEATHER,)), tools=False)
        assert endpoint.calls == 0
    assert isinstance(done, Failure)
    assert done.kind == "unsupported_tools"
