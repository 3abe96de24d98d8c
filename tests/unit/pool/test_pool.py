"""The pool, and checks of its LLMs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from smcs.config import LLMSettings, PoolConfig
from smcs.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ConnectionFailedError,
    LogprobsUnavailableError,
    RateLimitError,
    ServerError,
    UnknownNameError,
    UsageError,
    WeightsError,
)
from smcs.pool import Pool, PooledLLM, failure_of
from smcs.protocols import LLM, BuildContext
from smcs.testing.scripted import ScriptedLLM, sample_of
from smcs.types import Failure, Message, Request

MakePooled = Callable[..., PooledLLM]


def built(*names: str) -> tuple[Pool, dict[str, ScriptedLLM]]:
    backends: dict[str, ScriptedLLM] = {}

    def create(settings: LLMSettings, context: BuildContext) -> LLM:
        return backends.setdefault(settings.name, ScriptedLLM())

    config = PoolConfig(llm=tuple(LLMSettings(name=name, backend="scripted") for name in names))
    return Pool.build(config, BuildContext(Path()), create), backends


def test_llms_are_in_the_files_order_and_found_by_name() -> None:
    pool, backends = built("b", "a", "c")
    assert pool.names == ["b", "a", "c"] == [llm.name for llm in pool]
    assert len(pool) == 3
    assert pool["a"].llm is backends["a"]
    assert "a" in pool
    assert "d" not in pool


def test_an_unknown_name_gets_a_hint() -> None:
    pool, _ = built("qwen", "gemma")
    with pytest.raises(
        UnknownNameError, match=r"no LLM 'qwem'; did you mean 'qwen'\? \(known: qwen, gemma\)"
    ) as failed:
        pool["qwem"]
    assert isinstance(failed.value, UsageError)


def test_no_llm_and_equal_names_are_refused(pooled: MakePooled) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Pool([])
    with pytest.raises(ConfigError, match="different"):
        Pool([pooled(ScriptedLLM()), pooled(ScriptedLLM())])


async def test_closing_closes_all_even_where_one_fails() -> None:
    pool, backends = built("a", "b", "c")

    async def fail() -> None:
        raise ServerError("will not close")

    backends["b"].aclose = fail  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="will not close"):
        async with pool:
            pass
    assert backends["a"].closed
    assert backends["c"].closed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ServerError("x"), "server"),
        (LogprobsUnavailableError("x"), "logprobs_unavailable"),
        (WeightsError("x"), "weights"),
    ],
)
def test_a_failure_bears_the_errors_short_name(error: ServerError, kind: str) -> None:
    assert failure_of(error, "a", 1.5) == Failure("a", kind, "x", 1, 1.5)


class TestCheck:
    async def test_all_is_well(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.name, check.ok, check.logprobs, check.samples, check.message) == (
            "mine",
            True,
            True,
            True,
            "it answers",
        )
        (request,) = backend.requests
        assert (request.n, request.sampling.max_tokens, request.sampling.logprobs) == (2, 8, True)

    async def test_a_large_token_limit_of_its_own_does_not_make_the_check_dear(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend, sampling={"max_tokens": 8192, "extra": {"x": 1}})
        assert (await Pool([llm]).check("mine")).ok
        assert backend.requests[0].sampling.max_tokens == 8
        assert backend.requests[0].sampling.extra == {"x": 1}

    async def test_reachable_but_without_logprobs(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(logprobs=None)
        backend.script = [[sample_of(Request(())), sample_of(Request(()))]]
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.logprobs, check.samples) == (True, False, True)
        assert "no log-probabilities" in check.message

    async def test_a_refusal_of_logprobs_is_followed_by_a_plainer_call(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(logprobs=None)
        backend.script = [LogprobsUnavailableError("no logprobs", status=400)] * 2
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.logprobs, check.samples) == (True, False, False)
        assert [(r.n, r.sampling.logprobs) for r in backend.requests] == [(2, True), (1, True), (1, False)]

    async def test_a_refusal_of_several_samples_does_not_hide_logprobs(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(logprobs=None)
        backend.script = [BadRequestError("n must be 1", status=400)]
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.logprobs, check.samples) == (True, True, False)

    async def test_an_endpoint_that_ignores_n(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(Request(()), token_logprobs=(-1.0,))]]
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.logprobs, check.samples) == (True, True, False)
        assert "one sample a request" in check.message

    async def test_a_text_cut_off_by_reasoning_is_an_answer(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(Request(()), text="", finish_reason="length", token_logprobs=(-1.0,))]]
        assert (await Pool([pooled(backend)]).check("mine")).ok

    @pytest.mark.parametrize(
        "error",
        [
            ConnectionFailedError("nobody there"),
            AuthenticationError("wrong key", status=401),
            BadRequestError("no such model", status=404),
        ],
    )
    async def test_what_is_wrong_is_said_after_one_try(self, pooled: MakePooled, error: ConnectionFailedError) -> None:
        backend = ScriptedLLM()
        backend.script = [error]
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.logprobs, check.samples, check.message) == (False, False, False, str(error))
        assert len(backend.requests) == 1

    async def test_a_busy_endpoint_is_waited_for_a_little(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [RateLimitError("busy", retry_after=0.01), RateLimitError("busy", retry_after=0.01)]
        assert (await Pool([pooled(backend)]).check("mine")).ok
        backend.script = [RateLimitError("busy", retry_after=60.0)]
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.message) == (False, "busy")

    async def test_weights_that_cannot_be_had(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.start_errors = [WeightsError("no network")]
        check = await Pool([pooled(backend)]).check("mine")
        assert (check.ok, check.message) == (False, "no network")

    async def test_one_that_hangs(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend)
        await llm.start()
        backend.free.clear()
        check = await Pool([llm]).check("mine", timeout_s=0.02)
        assert not check.ok
        assert "0.02" in check.message

    async def test_no_completion(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[]]
        assert not (await Pool([pooled(backend)]).check("mine")).ok


async def test_llms_are_called_side_by_side() -> None:
    pool, backends = built("a", "b")
    for backend in backends.values():
        backend.free.clear()
    tasks = [asyncio.create_task(llm.complete(Request((Message("user", "Why?"),)))) for llm in pool]
    await asyncio.sleep(0.01)
    for backend in backends.values():
        backend.free.set()
    assert [(await task)[0].llm for task in tasks] == ["a", "b"]
