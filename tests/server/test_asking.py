"""What a request asks for, and what of it reaches the LLMs: by the official client, over HTTP, with scripted LLMs."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import openai
import pytest
from tests.server.local import Local, local
from tests.unit.strategies.conftest import Lab, is_aggregation

from smcs.errors import ServerError
from smcs.types import Completion, Request, ToolCall

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
async def here() -> AsyncIterator[Local]:
    async with local(Lab()) as running:
        yield running


def requests(here: Local, *, aggregations: bool) -> list[Request]:
    made = [request for llm in here.lab.llms.values() for request in llm.requests]
    return [request for request in made if is_aggregation(request) == aggregations]


def failing(here: Local, error: Exception) -> None:
    """Let the embedder fail."""

    async def fail(*_: Any) -> Any:
        raise error

    here.lab.embedder.embed = fail  # type: ignore[method-assign, assignment]


class TestConversations:
    async def test_instructions_and_turns_reach_every_llm(self, here: Local) -> None:
        await here.ask(
            messages=[
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "question banana"},
                {"role": "assistant", "content": "yellow"},
                {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "user", "content": [{"type": "text", "text": "and"}, {"type": "text", "text": "fig?"}]},
            ]
        )
        for aggregations in (False, True):
            for request in requests(here, aggregations=aggregations):
                assert [m.role for m in request.messages] == ["system", "user", "assistant", "user"]
                assert "Be kind.\n\nBe brief." in request.messages[0].content
                assert request.messages[-1].content == "and\nfig?"

    async def test_a_follow_up_is_looked_up_by_what_was_asked_before(self, here: Local) -> None:
        turns = [("user", "question banana"), ("assistant", "yellow"), ("user", "and why?")]
        done = await here.ask(
            messages=[{"role": role, "content": text} for role, text in turns], extra_body={"smcs": {"explain": True}}
        )
        assert done.smcs["trace"]["support"][0]["id"] == "banana"

    async def test_an_llm_by_its_own_name_gets_no_instructions_but_the_client_s(self, here: Local) -> None:
        await here.ask(model="b")
        (request,) = here.lab.asked("b")
        assert [(m.role, m.content) for m in request.messages] == [("user", "question fig")]
        assert here.calls == 1

    @pytest.mark.parametrize(
        ("messages", "param"),
        [
            ([{"role": "system", "content": "Be kind."}], "messages"),
            ([{"role": "user", "content": "  "}], "messages"),
            ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "messages.0.content.0"),
            ([{"role": "tool", "content": "3", "tool_call_id": "x"}, {"role": "user", "content": "a"}], None),
            ([{"role": "wizard", "content": "abracadabra"}], "messages.0"),
        ],
    )
    async def test_conversations_that_ask_nothing(self, here: Local, messages: Any, param: str | None) -> None:
        error = await here.refused(messages=messages)
        assert error.status_code == 400
        assert param is None or error.param == param
        assert here.calls == 0


class TestSettings:
    async def test_sampling_settings_are_the_answer_s(self, here: Local) -> None:
        wanted = {"temperature": 0.2, "top_p": 0.5, "stop": ["X"], "presence_penalty": 0.1, "frequency_penalty": 0.3}
        options: dict[str, Any] = {**wanted, "max_tokens": 10, "max_completion_tokens": 9}
        await here.ask(**options)
        for request in requests(here, aggregations=True):
            sampling = request.sampling
            assert {name: getattr(sampling, name) for name in wanted} == {**wanted, "stop": ("X",)}
            assert sampling.max_tokens == 9
        assert all(request.sampling.max_tokens is None for request in requests(here, aggregations=False))

    async def test_the_same_seed_makes_the_same_calls_and_no_seed_others(self, here: Local) -> None:
        seeds = []
        for options in ({"seed": 5}, {"seed": 5}, {}, {"seed": -1}):
            done = await here.ask(model="a", **options)  # type: ignore[arg-type]
            seeds.append((done.smcs["seed"], here.lab.asked("a")[-1].sampling.seed))
        assert seeds[0] == seeds[1]
        assert len(set(seeds)) == 3

    async def test_settings_of_the_method_and_budgets_under_one_key(self, here: Local) -> None:
        done = await here.ask(extra_body={"smcs": {"k": 2, "n_aggregations": 2, "lambda": 0.0, "strategy": "smcs"}})
        assert len(requests(here, aggregations=False)) == 2
        assert done.smcs["strategy"] == "smcs"
        assert done.smcs["cuts"] == []
        assert "trace" not in done.smcs

    async def test_a_strategy_by_model_name_with_settings(self, here: Local) -> None:
        done = await here.ask(model="smcs/moa:llms=['a','b']")
        assert done.smcs["strategy"] == "moa:llms=['a','b']"
        assert len(requests(here, aggregations=False)) == 2

    async def test_n_gives_the_best_aggregations_ranked(self, here: Local) -> None:
        done = await here.ask(n=6, extra_body={"smcs": {"explain": True}})
        trace = done.smcs["trace"]
        scores = {a["text"]: a["score"] for a in trace["aggregations"]}
        ranked = [scores[choice.message.content] for choice in done.choices]
        assert len(done.choices) == 6
        assert ranked == sorted(ranked, reverse=True)

    async def test_n_of_one_llm_is_so_many_samples(self, here: Local) -> None:
        done = await here.ask(model="a", n=3)
        assert [choice.message.content for choice in done.choices] == ["a says 0", "a says 1", "a says 2"]

    @pytest.mark.parametrize(
        ("options", "param"),
        [
            ({"model": "smcs/majority", "n": 2}, "n"),
            ({"temperature": 2.5}, "temperature"),
            ({"top_logprobs": 3}, "top_logprobs"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"extra_body": {"best_of": 3}}, "best_of"),
            ({"extra_body": {"smcs": {"kk": 3}}}, "smcs.kk"),
            ({"extra_body": {"smcs": {"strategy": "majorty"}}}, "smcs.strategy"),
            ({"model": "a", "extra_body": {"smcs": {"strategy": "moa"}}}, "smcs.strategy"),
            ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
            ({"extra_body": {"smcs": {"k": 99}}}, None),
            ({"model": "smcs/smcs:sampling.extra={a=1}"}, None),
            ({"model": "smcs/symbolic-moe:skills=/etc/passwd"}, None),
            ({"model": "smcs/moa:layer=2"}, None),
        ],
    )
    async def test_what_cannot_be_had_is_refused_by_name(self, here: Local, options: Any, param: str | None) -> None:
        error = await here.refused(**options)
        assert error.status_code == 400
        assert param is None or error.param == param
        assert here.calls == 0

    async def test_usage_is_the_sum_over_all_calls(self, here: Local) -> None:
        usage = (await here.ask()).usage
        assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
        parts = usage.smcs
        for kind in ("prompt_tokens", "completion_tokens"):
            by_part = [parts[part][kind] for part in ("references", "aggregations", "other")]
            assert sum(by_part) == getattr(usage, kind)
        assert parts["references"]["responses"] == 3
        assert parts["calls"] == here.calls


class TestWhatTheAggregatorCanDo:
    async def test_json_is_asked_of_the_aggregator_alone(self, here: Local) -> None:
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
        await here.ask(response_format=schema)
        formats = [r.sampling.output and r.sampling.output.response_format for r in requests(here, aggregations=True)]
        assert formats == [schema] * len(formats)
        assert all(r.sampling.output is None for r in requests(here, aggregations=False))

    @pytest.mark.parametrize("model", ["smcs", "smcs/majority", "a"])
    @pytest.mark.parametrize(
        ("options", "param"),
        [
            ({"response_format": {"type": "json_object"}}, "response_format"),
            ({"logprobs": True}, "logprobs"),
            ({"tools": [WEATHER]}, "tools"),
        ],
    )
    async def test_a_backend_that_cannot_is_named(self, model: str, options: Any, param: str) -> None:
        async with local(Lab(), features=()) as here:
            error = await here.refused(model=model, **options)
        assert (error.status_code, error.param) == (400, param)

    async def test_tokens_with_their_log_probabilities(self, here: Local) -> None:
        tokens = ({"token": "yes", "logprob": -0.1, "top_logprobs": [{"token": "no", "logprob": -2.0, "bytes": None}]},)
        yes = Completion("a", "yes", token_logprobs=(-0.1,), tokens=tokens)
        here.lab.llms["a"]._completion = lambda request, sample: yes  # type: ignore[method-assign]
        done = await here.ask(model="a", logprobs=True, top_logprobs=1)
        (token,) = done.choices[0].logprobs.content
        assert (token.token, token.bytes, token.top_logprobs[0].token) == ("yes", list(b"yes"), "no")
        assert here.lab.asked("a")[0].sampling.output.top_logprobs == 1  # type: ignore[union-attr]


class TestTools:
    async def test_the_aggregator_s_call_is_the_answer_and_the_next_turn_goes_on(self, here: Local) -> None:
        call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
        for name, llm in here.lab.llms.items():
            text = f"{name}: weather for Oslo should be called"

            def complete(request: Request, sample: int, name: str = name, text: str = text) -> Completion:
                if is_aggregation(request) and request.messages[-1].role == "user":
                    return Completion(name, "", finish_reason="tool_calls", tool_calls=(call,))
                return Completion(name, "It is cold." if is_aggregation(request) else text, token_logprobs=(-0.1,))

            llm._completion = complete  # type: ignore[method-assign]
        turns: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
        done = await here.ask(messages=turns, tools=[WEATHER])
        choice = done.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert choice.message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
        assert all('"name": "weather"' in r.messages[0].content for r in requests(here, aggregations=False))
        turns += [choice.message.model_dump(), {"role": "tool", "content": "-3 C", "tool_call_id": "call_1"}]
        done = await here.ask(messages=turns, tools=[WEATHER])
        assert done.choices[0].message.content == "It is cold."
        last = requests(here, aggregations=True)[-1]
        assert [m.role for m in last.messages] == ["system", "user", "assistant", "tool"]
        assert last.messages[2].tool_calls == (call,)
        reference = requests(here, aggregations=False)[-1]
        assert [m.role for m in reference.messages] == ["system", "user", "assistant", "user"]
        assert reference.messages[-1].content == "[weather gave:]\n-3 C"


class TestStreams:
    async def test_progress_comes_as_reasoning_then_the_answer_then_usage(self, here: Local) -> None:
        here.lab.answers(a="word " * 100, b="no", c="no", d="no")
        whole = await here.ask(model="a", seed=1)
        stream = await here.ask(model="a", seed=1, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
        reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        texts = [delta.content for delta in deltas if delta.content]
        assert reasoning.startswith("Asking a.")
        assert "".join(texts) == whole.choices[0].message.content
        assert len(texts) > 3
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
        assert len({chunk.id for chunk in chunks}) == 1
        assert chunks[-2].smcs["cuts"] == []

    async def test_ranked_choices_and_calls_of_tools_are_streamed(self, here: Local) -> None:
        call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
        here.lab.llms["a"]._completion = lambda request, sample: Completion(  # type: ignore[method-assign]
            "a", "", finish_reason="tool_calls", tool_calls=(call,)
        )
        stream = await here.ask(model="a", n=2, tools=[WEATHER], stream=True, extra_body={"smcs": {"progress": False}})
        chunks = [chunk async for chunk in stream]
        calls = [
            (c.choices[0].index, c.choices[0].delta.tool_calls[0]) for c in chunks if c.choices[0].delta.tool_calls
        ]
        assert [(index, made.function.name, made.function.arguments) for index, made in calls] == [
            (0, "weather", '{"city": "Oslo"}'),
            (1, "weather", '{"city": "Oslo"}'),
        ]
        assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["tool_calls"] * 2

    async def test_a_request_that_cannot_be_met_has_its_status(self, here: Local) -> None:
        error = await here.refused(stream=True, extra_body={"smcs": {"k": 99}})
        assert error.status_code == 400

    async def test_an_error_in_midstream_is_one_for_the_client(self, here: Local) -> None:
        here.lab.fail(*"abcd")
        with pytest.raises(openai.APIError, match="every referencer failed"):
            [chunk async for chunk in await here.ask(stream=True)]


class TestErrors:
    async def test_llms_that_refuse_the_request_are_the_request_s_fault(self, here: Local) -> None:
        here.lab.fail(*"abcd")
        error = await here.refused()
        assert (error.status_code, error.code) == (400, "bad_request")

    async def test_an_embedder_that_fails_is_not(self, here: Local) -> None:
        failing(here, ServerError("down"))
        error = await here.refused()
        assert (error.status_code, error.code) == (502, "server")

    async def test_a_bug_of_ours_is_told_without_its_inside(self, here: Local, caplog: Any) -> None:
        failing(here, ZeroDivisionError("secret"))
        error = await here.refused()
        assert (error.status_code, error.code) == (500, "internal_error")
        assert "secret" not in error.message
        assert "ZeroDivisionError" in caplog.text

    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"model": "smcs", "messages": "x", "n": ' + b"9" * 5000 + b"}"]
    )
    async def test_bodies_that_are_none(self, here: Local, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        with pytest.raises(openai.BadRequestError):
            await here.client.post("/chat/completions", content=body, cast_to=object, options={"headers": headers})


class TestEmbeddings:
    async def test_they_are_the_pool_s_embedder_s(self, here: Local) -> None:
        texts = ["apple", "banana"]
        expected = await here.lab.embedder.embed(texts, "document")
        done = await here.client.embeddings.create(model="letters", input=texts)  # asks for base64 by itself
        np.testing.assert_allclose([item.embedding for item in done.data], expected, rtol=1e-6)
        plain = await here.client.embeddings.create(model="embedder", input="apple", encoding_format="float")
        np.testing.assert_allclose(plain.data[0].embedding, expected[0], rtol=1e-6)
        raw = await here.client.embeddings.with_raw_response.create(
            model="embedder", input="a", encoding_format="base64"
        )
        assert len(base64.b64decode(json.loads(raw.text)["data"][0]["embedding"])) == 4 * 26

    @pytest.mark.parametrize(
        ("options", "status"),
        [({"model": "ada"}, 404), ({"input": []}, 400), ({"input": [[1, 2]]}, 400), ({"dimensions": 3}, 400)],
    )
    async def test_what_cannot_be_embedded(self, here: Local, options: Any, status: int) -> None:
        with pytest.raises(openai.APIStatusError) as e:
            await here.client.embeddings.create(**{"model": "embedder", "input": "a", **options})
        assert e.value.status_code == status
