"""What holds for every LLM backend, whatever is behind it.

A backend that the registry finds and that has no recipe here fails: a new one comes with its recipe.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smcs import registry
from smcs.config import LLMSettings, validate
from smcs.errors import CallError, ConfigError, ContextLengthError
from smcs.llms import simulated
from smcs.pool import PooledLLM
from smcs.protocols import LLM, BuildContext, Progress
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.types import Completion, Message, Request, Sampling

Values: TypeAlias = dict[str, Any]
Recipe: TypeAlias = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Values]]
CONTEXT_LENGTH = 512


@asynccontextmanager
async def of_simulated(_: pytest.FixtureRequest) -> AsyncIterator[Values]:
    yield {}


@asynccontextmanager
async def of_openai(_: pytest.FixtureRequest) -> AsyncIterator[Values]:
    settings = simulated.Settings(name="small", backend="simulated", context_length=CONTEXT_LENGTH)
    async with SimulatedEndpoint(settings) as endpoint:
        yield {"base_url": endpoint.base_url, "model": "small"}


@asynccontextmanager
async def of_llama_cpp(request: pytest.FixtureRequest) -> AsyncIterator[Values]:
    yield {"path": request.getfixturevalue("weights_of")("smollm2-135m"), "parallel": 2}


@asynccontextmanager
async def of_recorded(request: pytest.FixtureRequest) -> AsyncIterator[Values]:
    folder: Path = request.getfixturevalue("tmp_path")
    (folder / "questions.jsonl").write_text(json.dumps({"id": "colours", "question": ASK[-1].content}) + "\n")
    row = {"question_id": "colours", "llm": "mine", "response": "Red, green and blue.", "completion_tokens": 6}
    pq.write_table(pa.Table.from_pylist([row]), folder / "responses.parquet")
    yield {"questions": "questions.jsonl", "responses": "responses.parquet"}


RECIPES: Mapping[str, Recipe] = {
    "simulated": of_simulated,
    "openai": of_openai,
    "llama-cpp": of_llama_cpp,
    "recorded": of_recorded,
}
"""What a backend needs in its settings to be called for real."""

LEAST: Mapping[str, Values] = {
    "openai": {"base_url": "http://127.0.0.1:9/v1", "model": "m"},
    "llama-cpp": {"path": "nowhere.gguf"},
    "recorded": {"questions": "nowhere.jsonl", "responses": "nowhere.parquet"},
}
"""What a backend needs in its settings to be built."""

NAMES = registry.names("llms")
CALLED = [pytest.param(name, marks=pytest.mark.weights) if name == "llama-cpp" else name for name in NAMES]
ASK = (Message("system", "You are a helpful assistant."), Message("user", "Name three colours."))
REPLAYING = {"recorded"}
"""Backends that give what an LLM once said, whatever they are asked for now."""
LONG = (Message("user", "Name three colours. " * 400),)


def common(name: str) -> Values:
    return {"name": "mine", "backend": name, "context_length": CONTEXT_LENGTH, "sampling": {"temperature": 0.7}}


@pytest.fixture
async def llm(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LLM]:
    name = request.param
    if name not in RECIPES:
        pytest.fail(f"the backend {name!r} has no recipe in this file: say how to call it")
    async with RECIPES[name](request) as values:
        module = registry.find("llms", name)
        made: LLM = module.create(
            validate(module.Settings, common(name) | values, "contract"), BuildContext(tmp_path, base_dir=tmp_path)
        )
        await made.start()
        yield made
        await made.aclose()


def ask(n: int = 1, **sampling: Any) -> Request:
    return Request(ASK, Sampling(**({"max_tokens": 24, "temperature": 0.7, "seed": 3} | sampling)), n)


async def complete(llm: LLM, request: Request) -> list[Completion]:
    return list(await llm.complete(request, Progress()))


@pytest.mark.parametrize("name", NAMES)
def test_the_module_has_what_the_registry_needs(name: str) -> None:
    module = registry.find("llms", name)
    assert issubclass(module.Settings, LLMSettings)
    assert callable(module.create)
    assert module.__doc__
    for field in set(module.Settings.model_fields) - set(LLMSettings.model_fields):
        inherited = " ".join(c.__doc__ or "" for c in module.Settings.__mro__)
        assert f"{field}:" in inherited, f"the setting {field} is not explained"


@pytest.mark.parametrize("name", NAMES)
def test_building_needs_no_event_loop_and_an_unknown_key_is_refused(name: str, tmp_path: Path) -> None:
    module = registry.find("llms", name)
    values = common(name) | LEAST.get(name, {})
    llm = module.create(validate(module.Settings, values, "contract"), BuildContext(tmp_path, base_dir=tmp_path))
    assert isinstance(llm, LLM)
    assert (llm.info.name, llm.info.backend) == ("mine", name)
    assert llm.info.context_length == CONTEXT_LENGTH
    with pytest.raises(ConfigError, match="max_concurency"):
        validate(module.Settings, values | {"max_concurency": 3}, "contract")


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_a_completion_is_whole(llm: LLM) -> None:
    await llm.start()  # again, without effect
    (made,) = await complete(llm, ask())
    assert made.text.strip()
    assert made.finish_reason in {"stop", "length"}
    assert 0 < made.completion_tokens <= 24
    assert made.prompt_tokens > 0
    assert made.token_logprobs is None


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_logprobs_come_where_they_are_promised(llm: LLM) -> None:
    if llm.info.logprobs is False:
        pytest.skip("this backend says that it gives none")
    (made,) = await complete(llm, ask(logprobs=True))
    assert made.token_logprobs
    assert all(math.isfinite(value) and value <= 0 for value in made.token_logprobs)
    assert 0 <= made.completion_tokens - len(made.token_logprobs) <= 2  # an end token may have none


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_the_token_limit_holds_and_is_told(llm: LLM) -> None:
    if llm.info.backend in REPLAYING:
        pytest.skip("what was recorded is given whole")
    (made,) = await complete(llm, ask(max_tokens=3))
    assert (made.completion_tokens, made.finish_reason) == (3, "length")


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_several_samples_in_one_request(llm: LLM) -> None:
    if not llm.info.multiple_samples:
        pytest.skip("this backend gives one sample a request")
    made = await complete(llm, ask(n=3, temperature=1.5, logprobs=True))
    assert len(made) == 3
    assert len({c.text for c in made}) > 1
    assert made[0].prompt_tokens > 0
    assert [c.prompt_tokens for c in made[1:]] == [0, 0]
    assert all(0 < c.completion_tokens <= 24 for c in made)


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_progress_goes_up_to_the_number_of_tokens(llm: LLM) -> None:
    counts: list[int] = []
    made = await llm.complete(ask(logprobs=True), Progress(tokens=counts.append))
    assert counts == sorted(counts)
    assert counts
    assert abs(counts[-1] - sum(c.completion_tokens for c in made)) <= 1


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_a_prompt_is_counted_exactly_or_on_the_high_side(llm: LLM) -> None:
    (made,) = await complete(llm, ask())
    assert made.prompt_tokens <= await llm.count_tokens(ASK) <= 4 * made.prompt_tokens + 64
    assert await llm.count_tokens(LONG) > CONTEXT_LENGTH


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_a_prompt_beyond_the_context_is_refused_by_its_name(llm: LLM) -> None:
    with pytest.raises(ContextLengthError) as failed:
        await complete(llm, Request(LONG, Sampling(max_tokens=24)))
    assert not failed.value.retryable
    assert await complete(llm, ask())


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_calls_at_once_get_their_own_answers(llm: LLM) -> None:
    made = await asyncio.gather(*(complete(llm, ask(seed=seed)) for seed in range(6)))
    assert all(len(completions) == 1 and completions[0].text.strip() for completions in made)
    assert len({completions[0].text for completions in made}) > (0 if llm.info.backend in REPLAYING else 1)


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_a_cancelled_call_ends_and_the_next_one_works(llm: LLM) -> None:
    task = asyncio.create_task(complete(llm, ask(max_tokens=400)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await complete(llm, ask())


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_the_pool_calls_it(llm: LLM) -> None:
    pooled = PooledLLM(llm, LLMSettings(name="pooled", backend="any", max_concurrency=2, max_retries=0))
    results = await pooled.complete(ask(n=3, logprobs=llm.info.logprobs is not False))
    assert [type(r) for r in results] == [Completion] * 3, results
    assert {r.llm for r in results} == {"pooled"}
    assert pooled.info.logprobs is not None


@pytest.mark.parametrize("llm", CALLED, indirect=True)
async def test_closing_twice_is_no_harm_and_a_call_afterwards_does_not_hang(llm: LLM) -> None:
    await llm.aclose()
    await llm.aclose()
    try:
        async with asyncio.timeout(30):
            await complete(llm, ask())
    except CallError:
        return
