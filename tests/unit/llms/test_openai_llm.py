"""The OpenAI-compatible backend against real HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from smcs.config import load_pool, method_settings, validate
from smcs.embedders import openai as embedders_openai
from smcs.errors import (
    AuthenticationError,
    BadRequestError,
    CallError,
    CallTimeoutError,
    ConfigError,
    ConnectionFailedError,
    ContextLengthError,
    LogprobsUnavailableError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from smcs.llms import simulated
from smcs.llms.openai import OpenAILLM, Settings, create
from smcs.protocols import LLM, BuildContext, Progress
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.testing.faults import Fault
from smcs.types import Completion, Message, Request, Sampling

ASK = Request((Message("user", "What is 2 + 2?"),), Sampling(max_tokens=200, seed=5))
SMALL = simulated.Settings(name="small", backend="simulated", reasoning_tokens=6)


@pytest.fixture
async def endpoint() -> AsyncIterator[SimulatedEndpoint]:
    async with SimulatedEndpoint(SMALL) as opened:
        yield opened


@asynccontextmanager
async def llm_at(endpoint: SimulatedEndpoint, context: BuildContext, **settings: Any) -> AsyncIterator[OpenAILLM]:
    values = {"name": "mine", "backend": "openai", "model": "small", "base_url": endpoint.base_url, **settings}
    llm = create(validate(Settings, values, "test"), context)
    try:
        yield llm
    finally:
        await llm.aclose()


@pytest.fixture
def context(tmp_path: Any) -> BuildContext:
    return BuildContext(cache_dir=tmp_path)


async def ask(llm: LLM, request: Request = ASK) -> list[Completion]:
    return list(await llm.complete(request, Progress()))


async def test_it_is_an_llm(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    async with llm_at(endpoint, context) as llm:
        assert isinstance(llm, LLM)
        assert llm.info.logprobs is None  # only a call can tell
        (made,) = await ask(llm)
    assert made.llm == "mine"
    assert made.text.rstrip().splitlines()[-1].startswith("The answer is")
    assert made.reasoning
    assert (made.finish_reason, made.prompt_tokens) == ("stop", 9)
    assert made.completion_tokens == len((made.reasoning + " " + made.text).split())


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("with_logprobs", [False, True])
@pytest.mark.parametrize("reasoning_in", ["reasoning", "reasoning_content", "think_tags", "closing_tag"])
async def test_streamed_or_not_the_completions_are_equal(
    context: BuildContext,
    reasoning_in: Literal["reasoning", "reasoning_content", "think_tags", "closing_tag"],
    with_logprobs: bool,
    n: int,
) -> None:
    sampling = dataclasses.replace(ASK.sampling, logprobs=with_logprobs)
    request = dataclasses.replace(ASK, n=n, sampling=sampling)
    async with SimulatedEndpoint(SMALL, reasoning_in=reasoning_in) as endpoint:
        async with llm_at(endpoint, context) as llm:
            whole = await ask(llm, request)
        async with llm_at(endpoint, context, stream=True) as llm:
            streamed = await ask(llm, request)
    assert len(whole) == n
    assert whole == streamed
    assert len({c.text for c in whole}) == n
    for completion in whole:
        assert completion.reasoning
        assert "think>" not in completion.text + completion.reasoning
        assert (completion.token_logprobs is not None) == with_logprobs


async def test_a_stream_shows_its_progress(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    counts: list[int] = []
    async with llm_at(endpoint, context, stream=True) as llm:
        (made,) = await llm.complete(ASK, Progress(tokens=counts.append))
    assert counts == sorted(counts)
    assert len(counts) > 3
    assert counts[-1] == made.completion_tokens


FAULTS: list[tuple[Fault, type[CallError]]] = [
    (Fault("status", status=400), BadRequestError),
    (Fault("status", status=400, code="context_length_exceeded"), ContextLengthError),
    (Fault("status", status=401), AuthenticationError),
    (Fault("status", status=403), AuthenticationError),
    (Fault("status", status=404), BadRequestError),
    (Fault("status", status=408), CallTimeoutError),
    (Fault("status", status=409), ServerError),
    (Fault("status", status=425), ServerError),
    (Fault("status", status=429), RateLimitError),
    (Fault("status", status=500), ServerError),
    (Fault("status", status=503, retry_after="3"), RateLimitError),
    (Fault("reset"), ConnectionFailedError),
    (Fault("reset_in_body"), ConnectionFailedError),
    (Fault("html"), MalformedResponseError),
    (Fault("broken_json"), MalformedResponseError),
    (Fault("error_in_body", status=502), ServerError),
    (Fault("error_in_body", status=429), RateLimitError),
    (Fault("no_choices"), MalformedResponseError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "kind"), FAULTS, ids=lambda v: f"{v.kind}-{v.status}" if isinstance(v, Fault) else ""
)
async def test_every_fault_is_a_typed_error_that_names_the_endpoint(
    endpoint: SimulatedEndpoint, context: BuildContext, fault: Fault, kind: type[CallError], stream: bool
) -> None:
    endpoint.fail(fault)
    async with llm_at(endpoint, context, stream=stream) as llm:
        with pytest.raises(CallError) as failed:
            await ask(llm)
        assert type(failed.value) is kind
        assert endpoint.base_url.removesuffix("/v1") in str(failed.value)
        assert await ask(llm)  # and the next call is not the worse for it
    assert endpoint.calls == 2


@pytest.mark.parametrize("kind", ["empty_text", "null_content"])
async def test_an_empty_choice_is_left_to_the_pool_to_judge(
    endpoint: SimulatedEndpoint, context: BuildContext, kind: Literal["empty_text", "null_content"]
) -> None:
    endpoint.fail(Fault(kind))
    async with llm_at(endpoint, context) as llm:
        (made,) = await ask(llm)
    assert made.text == ""


async def test_the_time_to_wait_is_read(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    endpoint.fail(Fault("status", status=429, retry_after="17"))
    async with llm_at(endpoint, context) as llm:
        with pytest.raises(RateLimitError) as failed:
            await ask(llm)
    assert (failed.value.retry_after, failed.value.status) == (17.0, 429)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["hang", "hang_in_body"])
async def test_cancelling_closes_the_connection(
    endpoint: SimulatedEndpoint, context: BuildContext, kind: Literal["hang", "hang_in_body"], stream: bool
) -> None:
    endpoint.fail(Fault(kind))
    async with llm_at(endpoint, context, stream=stream) as llm:
        task = asyncio.create_task(ask(llm))
        await until(lambda: endpoint.in_flight == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: endpoint.in_flight == 0)
    assert endpoint.abandoned == 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_logprobs_that_are_not_given_are_none(context: BuildContext) -> None:
    settings = SMALL.model_copy(update={"logprobs": False})
    request = dataclasses.replace(ASK, sampling=Sampling(logprobs=True))
    async with SimulatedEndpoint(settings) as endpoint, llm_at(endpoint, context) as llm:
        (made,) = await ask(llm, request)
    assert made.token_logprobs is None


async def test_a_refusal_of_logprobs_is_called_so(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    refusal = Fault("status", status=400, message="'logprobs' is not supported with this model")
    request = dataclasses.replace(ASK, sampling=Sampling(logprobs=True))
    endpoint.fail(refusal, refusal)
    async with llm_at(endpoint, context) as llm:
        with pytest.raises(LogprobsUnavailableError, match="mine"):
            await ask(llm, request)
        with pytest.raises(BadRequestError):  # not asked for: then it is about something else
            await ask(llm)


async def test_an_endpoint_without_logprobs_is_not_asked_for_them(
    endpoint: SimulatedEndpoint, context: BuildContext
) -> None:
    async with llm_at(endpoint, context, logprobs=False) as llm:
        assert llm.info.logprobs is False
        await ask(llm, dataclasses.replace(ASK, sampling=Sampling(logprobs=True)))
    assert "logprobs" not in endpoint.requests[0]


async def test_what_is_sent(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    sampling = Sampling(temperature=0.0, seed=0, max_tokens=9, presence_penalty=1.05, extra={"min_p": 0.1})
    async with llm_at(
        endpoint, context, stream=True, max_tokens_field="max_completion_tokens", omit=["presence_penalty"]
    ) as llm:
        await ask(llm, Request(ASK.messages, sampling, n=2))
    assert endpoint.requests[0] == {
        "model": "small",
        "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        "temperature": 0.0,
        "seed": 0,
        "max_completion_tokens": 9,
        "n": 2,
        "min_p": 0.1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_missing_usage_is_estimated(context: BuildContext) -> None:
    def without_usage(body: dict[str, Any]) -> dict[str, Any]:
        del body["usage"]
        return body

    async with SimulatedEndpoint(SMALL, edit=without_usage) as endpoint:
        for stream in (False, True):
            async with llm_at(endpoint, context, stream=stream) as llm:
                (made,) = await ask(llm)
            assert made.prompt_tokens > 0
            assert made.completion_tokens > 0


async def test_the_key_is_sent_and_never_shown(
    context: BuildContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-right-12345")
    monkeypatch.setenv("SMCS_TEST_WRONG_KEY", "sk-wrong-12345")
    async with SimulatedEndpoint(SMALL, api_key="sk-right-12345") as endpoint:
        async with llm_at(endpoint, context, api_key_env="SMCS_TEST_KEY") as llm:
            assert await ask(llm)
        async with llm_at(endpoint, context, api_key_env="SMCS_TEST_WRONG_KEY") as llm:
            with pytest.raises(AuthenticationError, match="api_key_env") as failed:
                await ask(llm)
            shown = "".join(traceback.format_exception(failed.value)) + repr(llm) + repr(vars(llm)) + caplog.text
    assert "Incorrect API key provided: Bearer ***" in shown
    assert "12345" not in shown


async def test_a_header_may_take_its_value_from_the_environment(
    context: BuildContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-right-12345")
    headers = {"Authorization": "Bearer $SMCS_TEST_KEY"}
    async with (
        SimulatedEndpoint(SMALL, api_key="sk-right-12345") as endpoint,
        llm_at(endpoint, context, headers=headers) as llm,
    ):
        assert await ask(llm)


def test_a_missing_key_is_found_when_it_is_built(context: BuildContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMCS_TEST_KEY", raising=False)
    settings = Settings(name="a", backend="openai", base_url="http://x", model="m", api_key_env="SMCS_TEST_KEY")
    with pytest.raises(ConfigError, match=r"LLM 'a'.*SMCS_TEST_KEY"):
        create(settings, context)


def test_extra_must_leave_the_request_alone() -> None:
    values = {"name": "a", "backend": "openai", "base_url": "http://x", "model": "m", "sampling": {"extra": {"n": 4}}}
    with pytest.raises(ConfigError, match=r"extra must not set n"):
        validate(Settings, values, "here")


async def test_it_connects_to_a_wrong_port_in_vain(context: BuildContext) -> None:
    async with SimulatedEndpoint(SMALL) as endpoint:
        gone = endpoint
    async with llm_at(gone, context) as llm:
        await llm.start()  # touches no network
        with pytest.raises(ConnectionFailedError, match="is the server running"):
            await ask(llm)


async def test_an_unknown_model_is_the_endpoints_word(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    async with llm_at(endpoint, context, model="big") as llm:
        with pytest.raises(BadRequestError, match="'big' does not exist"):
            await ask(llm)


async def test_connections_are_kept_and_limited(endpoint: SimulatedEndpoint, context: BuildContext) -> None:
    async with llm_at(endpoint, context, max_concurrency=3) as llm:
        made = await asyncio.gather(*(ask(llm) for _ in range(20)))
    assert len(made) == 20
    assert endpoint.most_in_flight <= 3


def test_the_example_pool_is_right(monkeypatch: pytest.MonkeyPatch, context: BuildContext) -> None:
    path = Path(__file__).parents[3] / "pools" / "example-openai.toml"
    pool = load_pool(path, lambda _: Settings, lambda _: embedders_openai.Settings)
    assert len(pool.llm) == 5
    method_settings("paper", pool.smcs)
    for variable in ("OPENROUTER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "sk-test")
    for settings in pool.llm:
        assert isinstance(settings, Settings)
        assert create(settings, context).info.name == settings.name
