"""A call through the pool: every sample ends as a completion or a failure, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from smcs.errors import (
    AuthenticationError,
    BadRequestError,
    CallTimeoutError,
    ConnectionFailedError,
    ContextLengthError,
    RateLimitError,
    ServerError,
)
from smcs.pool import PooledLLM
from smcs.protocols import Progress
from smcs.testing.scripted import ScriptedLLM, sample_of
from smcs.types import Completion, Failure, LLMInfo, Message, Request, Sampling

MakePooled = Callable[..., PooledLLM]
ASK = Request((Message("system", "Be brief."), Message("user", "Why?")))


def ask(n: int = 1, index: int = 0, **sampling: Any) -> Request:
    return Request(ASK.messages, Sampling(**sampling), n, index)


async def completed(llm: PooledLLM, request: Request = ASK) -> list[Completion]:
    results = await llm.complete(request)
    assert all(isinstance(r, Completion) for r in results), results
    return [r for r in results if isinstance(r, Completion)]


async def failed(llm: PooledLLM, request: Request = ASK) -> list[Failure]:
    results = await llm.complete(request)
    assert all(isinstance(r, Failure) for r in results), results
    return [r for r in results if isinstance(r, Failure)]


class TestCompletions:
    async def test_it_bears_the_pools_name_and_its_own_time(self, pooled: MakePooled) -> None:
        (made,) = await completed(pooled(ScriptedLLM()))
        assert (made.llm, made.text, made.attempts) == ("mine", "sample 0", 1)
        assert made.seconds > 0

    async def test_several_samples_are_one_request_where_the_backend_can(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        made = await completed(pooled(backend), ask(n=3, index=4))
        assert [c.text for c in made] == ["sample 4", "sample 5", "sample 6"]
        assert [c.prompt_tokens for c in made] == [10, 0, 0]
        assert len(backend.requests) == 1

    async def test_several_samples_are_several_requests_where_it_cannot(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(samples=False)
        made = await completed(pooled(backend), ask(n=3, index=4, seed=100))
        assert [c.text for c in made] == ["sample 4", "sample 5", "sample 6"]
        assert sorted((r.n, r.sample_index, r.sampling.seed) for r in backend.requests) == [
            (1, 4, 104),
            (1, 5, 105),
            (1, 6, 106),
        ]
        assert backend.most_running == 3

    async def test_a_seed_counts_on_with_the_sample_index(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        await completed(pooled(backend), ask(n=2, index=3, seed=2**31 - 2))
        assert backend.requests[0].sampling.seed == 1  # stays below 2**31
        await completed(pooled(backend), ask())
        assert backend.requests[1].sampling.seed is None


class TestCost:
    async def test_prompt_once_and_each_sample(self, pooled: MakePooled) -> None:
        llm = pooled(ScriptedLLM(), price_prompt=1000.0, price_completion=2000.0)
        made = await completed(llm, ask(n=2))
        assert [c.cost_usd for c in made] == [pytest.approx(0.016), pytest.approx(0.006)]

    async def test_unknown_without_prices(self, pooled: MakePooled) -> None:
        (made,) = await completed(pooled(ScriptedLLM(), price_prompt=1.0))
        assert made.cost_usd is None

    async def test_the_endpoints_word_where_no_price_is_set(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(ASK, cost_usd=0.5)], [sample_of(ASK, cost_usd=0.5)]]
        assert (await completed(pooled(backend)))[0].cost_usd == 0.5
        priced = pooled(backend, price_prompt=0, price_completion=0)
        assert (await completed(priced))[0].cost_usd == 0

    async def test_the_backends_own_price(self, pooled: MakePooled) -> None:
        free = ScriptedLLM(price_prompt=0.0, price_completion=0.0)
        assert (await completed(pooled(free)))[0].cost_usd == 0
        assert pooled(free, price_prompt=3.0).info.price_prompt == 3.0


class TestRetries:
    async def test_a_passing_failure_is_tried_again(self, pooled: MakePooled, waits: list[float]) -> None:
        backend = ScriptedLLM()
        backend.script = [ServerError("down"), ConnectionFailedError("broke")]
        (made,) = await completed(pooled(backend))
        assert (made.attempts, len(waits)) == (3, 2)

    async def test_a_lasting_failure_is_a_value(self, pooled: MakePooled, waits: list[float]) -> None:
        backend = ScriptedLLM()
        backend.script = [AuthenticationError("wrong key", status=401)]
        assert await failed(pooled(backend), ask(n=2)) == [Failure("mine", "authentication", "wrong key", 1, ANY)] * 2
        assert waits == []

    async def test_it_gives_up_in_the_end(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [ServerError(f"down {i}") for i in range(9)]
        (made,) = await failed(pooled(backend, max_retries=2))
        assert (made.kind, made.message, made.attempts) == ("server", "down 2", 3)
        assert made.seconds > 0

    async def test_too_long_a_wait_is_not_waited_for(self, pooled: MakePooled, waits: list[float]) -> None:
        backend = ScriptedLLM()
        backend.script = [RateLimitError("slow down", retry_after=90.0)]
        (made,) = await failed(pooled(backend))
        assert made.kind == "rate_limit"
        assert "wait 90 s" in made.message
        assert waits == []

    async def test_a_refusal_holds_the_other_calls_back(self, pooled: MakePooled, waits: list[float]) -> None:
        backend = ScriptedLLM()
        backend.script = [RateLimitError("slow down", retry_after=20.0)]
        llm = pooled(backend, max_retries=0)
        await failed(llm)
        await completed(llm)
        assert waits == [pytest.approx(20, abs=1)]

    async def test_only_what_is_missing_is_asked_for_again(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        first = ask(n=4, seed=50)
        backend.script = [[sample_of(first, 0), sample_of(first, 1)]]
        made = await completed(pooled(backend), first)
        assert [c.text for c in made] == ["sample 0", "sample 1", "sample 2", "sample 3"]
        assert [c.attempts for c in made] == [1, 1, 2, 2]
        again = backend.requests[1]
        assert (again.n, again.sample_index, again.sampling.seed) == (2, 2, 52)

    async def test_what_stays_missing_fails_and_what_came_is_kept(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        first = ask(n=3)
        backend.script = [[sample_of(first, 0), sample_of(first, 1)], *(ServerError("down") for _ in range(5))]
        one, two, three = await pooled(backend, max_retries=3).complete(first)
        assert isinstance(one, Completion)
        assert isinstance(two, Completion)
        assert isinstance(three, Failure)
        assert (three.kind, three.attempts) == ("server", 4)

    async def test_an_endpoint_that_ignores_n_is_noticed(self, pooled: MakePooled, waits: list[float]) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend)
        backend.script = [[sample_of(ask(n=3))]]
        made = await completed(llm, ask(n=3, seed=7))
        assert [c.text for c in made] == ["sample 0", "sample 1", "sample 2"]
        assert [(r.n, r.sampling.seed) for r in backend.requests] == [(3, 7), (1, 8), (1, 9)]
        assert waits == []
        backend.requests.clear()
        await completed(llm, ask(n=2))
        assert [r.n for r in backend.requests] == [1, 1]

    async def test_an_endpoint_that_refuses_n_is_asked_singly(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [BadRequestError("n must be 1", status=400)]
        llm = pooled(backend)
        assert len(await completed(llm, ask(n=3))) == 3
        assert [r.n for r in backend.requests] == [3, 1, 1, 1]
        await completed(llm, ask(n=2))
        assert [r.n for r in backend.requests[4:]] == [1, 1]

    async def test_a_refusal_of_something_else_stays_one(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend)
        backend.script = [BadRequestError("no such setting", status=400)] * 3
        assert [f.message for f in await failed(llm, ask(n=2))] == ["no such setting"] * 2
        await completed(llm, ask(n=2))
        assert backend.requests[-1].n == 2

    async def test_one_of_several_single_calls_may_fail_alone(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(samples=False)
        backend.script = [AuthenticationError("no")]
        kinds = [type(r) for r in await pooled(backend).complete(ask(n=3))]
        assert kinds == [Failure, Completion, Completion]

    async def test_surplus_samples_are_left_out(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(ASK, i) for i in range(4)]]
        assert len(await completed(pooled(backend), ask(n=2))) == 2


class TestJudgement:
    async def test_an_empty_text_is_asked_for_again_with_another_seed(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(ASK, text=" \n")]]
        (made,) = await completed(pooled(backend), ask(seed=5))
        assert made.attempts == 2
        assert backend.requests[1].sampling.seed not in {5, None}

    async def test_an_empty_sample_among_others_is_replaced(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        first = ask(n=3, seed=5)
        backend.script = [[sample_of(first, 0), sample_of(first, 1, text=""), sample_of(first, 2)]]
        made = await completed(pooled(backend), first)
        assert [c.text for c in made] == ["sample 0", "sample 2", "sample 2"]
        assert backend.requests[1].n == 1
        assert backend.requests[1].sampling.seed not in {5, 6, 7}

    async def test_nothing_but_empty_texts_is_a_failure(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(ASK, text="")]] * 9
        (made,) = await failed(pooled(backend, max_retries=2))
        assert (made.kind, made.message, made.attempts) == ("malformed_response", "mine generated nothing", 3)

    async def test_no_completion_at_all(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [[]] * 9
        (made,) = await failed(pooled(backend, max_retries=1))
        assert (made.kind, made.message) == ("malformed_response", "mine gave no completion")

    @pytest.mark.parametrize("reasoning", [None, "hm, let me think"])
    async def test_a_limit_used_up_by_reasoning_says_what_to_do(
        self, pooled: MakePooled, waits: list[float], reasoning: str | None
    ) -> None:
        backend = ScriptedLLM()
        backend.script = [[sample_of(ASK, text="", reasoning=reasoning, finish_reason="length")]]
        (made,) = await failed(pooled(backend))
        assert made.kind == "malformed_response"
        assert "raise max_tokens" in made.message
        assert waits == []

    async def test_missing_logprobs_are_a_failure_that_names_llm_and_backend(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(logprobs=None)
        backend.script = [[sample_of(ASK)]]
        (made,) = await failed(pooled(backend), ask(logprobs=True))
        assert (made.kind, made.attempts) == ("logprobs_unavailable", 1)
        assert "mine" in made.message
        assert "'scripted'" in made.message

    async def test_a_backend_that_declares_to_give_none_is_not_called_for_them(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(logprobs=False)
        llm = pooled(backend)
        assert [f.kind for f in await failed(llm, ask(n=2, logprobs=True))] == ["logprobs_unavailable"] * 2
        assert backend.requests == []
        assert await completed(llm)

    async def test_a_call_that_gives_logprobs_is_remembered(self, pooled: MakePooled) -> None:
        llm = pooled(ScriptedLLM(logprobs=None))
        await completed(llm)
        assert llm.info.logprobs is None
        await completed(llm, ask(logprobs=True))
        assert llm.info.logprobs is True


class TestOverrides:
    async def test_the_llms_settings_go_over_the_requests(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend, sampling={"temperature": 0.2, "extra": {"min_p": 0.1}})
        await completed(llm, ask(temperature=0.9, top_p=0.8, seed=1, extra={"x": 1}))
        sent = backend.requests[0].sampling
        assert sent == Sampling(temperature=0.2, top_p=0.8, seed=1, extra={"x": 1, "min_p": 0.1})

    async def test_zero_is_a_setting_too(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend, sampling={"temperature": 0.0, "presence_penalty": 0.0})
        await completed(llm, ask(temperature=0.9, presence_penalty=1.05, logprobs=True))
        sent = backend.requests[0].sampling
        assert (sent.temperature, sent.presence_penalty, sent.logprobs) == (0.0, 0.0, True)

    async def test_the_llms_system_prompt_takes_the_place_of_the_requests(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend, system="Own.")
        await completed(llm)
        assert backend.requests[0].messages == (Message("system", "Own."), Message("user", "Why?"))
        await completed(llm, Request((Message("user", "Why?"),)))
        assert backend.requests[1].messages == (Message("system", "Own."), Message("user", "Why?"))
        await llm.complete(ASK, keep_system=True)
        assert backend.requests[2].messages == ASK.messages
        assert await llm.count_tokens(ASK.messages) == len("Own.Why?")
        assert await llm.count_tokens(ASK.messages, keep_system=True) == len("Be brief.Why?")

    @pytest.mark.parametrize(("limit", "sent"), [(None, None), (50, 50), (500, 100 - 13)])
    async def test_the_token_limit_is_cut_to_what_the_context_leaves(
        self, pooled: MakePooled, limit: int | None, sent: int | None
    ) -> None:
        backend = ScriptedLLM(context_length=100)
        await completed(pooled(backend), ask(max_tokens=limit))
        assert backend.requests[0].sampling.max_tokens == sent

    async def test_a_prompt_that_does_not_fit_is_the_backends_to_refuse(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        backend.script = [ContextLengthError("too long")]
        (made,) = await failed(pooled(backend, context_length=5), ask(max_tokens=500))
        assert made.kind == "context_length"
        assert backend.requests[0].sampling.max_tokens == 500


class TestLimits:
    async def test_no_more_calls_at_once_than_allowed(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(samples=False)
        backend.script = [ServerError("down") for _ in range(20)]
        llm = pooled(backend, max_concurrency=3)
        await asyncio.gather(*(llm.complete(ask(n=2)) for _ in range(20)))
        assert backend.most_running == 3
        assert len(backend.requests) == 60

    async def test_waiting_for_a_place_is_not_part_of_the_time(
        self, pooled: MakePooled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = SimpleNamespace(now=100.0)
        monkeypatch.setattr("smcs.pool.call.time", SimpleNamespace(perf_counter=lambda: clock.now))
        backend = ScriptedLLM()
        llm = pooled(backend, max_concurrency=1)
        await llm.start()
        backend.free.clear()
        tasks = [asyncio.create_task(completed(llm)) for _ in range(2)]
        while not backend.running:
            await asyncio.sleep(0)
        clock.now += 7
        backend.free.set()
        (first,), (second,) = [await task for task in tasks]
        assert (first.seconds, second.seconds) == (7, 0)

    async def test_a_call_that_takes_too_long_is_tried_again_and_then_fails(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM()
        llm = pooled(backend, timeout_s=0.01, max_retries=1)
        await llm.start()
        backend.free.clear()
        (made,) = await failed(llm)
        assert (made.kind, made.attempts) == (CallTimeoutError("").kind, 2)
        assert "timeout_s = 0.01" in made.message
        assert (backend.cancelled, backend.running) == (2, 0)

    async def test_loading_is_not_part_of_the_time_limit(
        self, pooled: MakePooled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend = ScriptedLLM()
        limits: list[tuple[int, float | None]] = []
        timeout = asyncio.timeout

        def noted(seconds: float | None) -> asyncio.Timeout:
            limits.append((backend.starts, seconds))
            return timeout(seconds)

        monkeypatch.setattr("smcs.pool.call.asyncio.timeout", noted)
        await completed(pooled(backend, timeout_s=5))
        assert limits == [(1, 5)]

    @pytest.mark.parametrize("samples", [True, False])
    async def test_cancelling_cancels_the_backends_work(self, pooled: MakePooled, samples: bool) -> None:
        backend = ScriptedLLM(samples=samples)
        llm = pooled(backend)
        await llm.start()
        backend.free.clear()
        task = asyncio.create_task(llm.complete(ask(n=2)))
        while backend.running < (1 if samples else 2):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert backend.running == 0
        assert backend.cancelled == (1 if samples else 2)
        backend.free.set()
        assert await completed(llm, ask(n=8))  # all places are free again

    def test_a_pool_may_be_used_in_one_event_loop_after_another(self, pooled: MakePooled) -> None:
        backend = ScriptedLLM(samples=False)
        llm = pooled(backend, max_concurrency=1)
        for _ in range(2):
            assert len(asyncio.run(completed(llm, ask(n=3)))) == 3


class TestProgress:
    async def test_tokens_begin_at_zero_with_every_try(self, pooled: MakePooled) -> None:
        counts: list[int] = []
        backend = ScriptedLLM()
        backend.script = [ServerError("down")]
        await pooled(backend).complete(ask(n=2), Progress(tokens=counts.append))
        assert counts == [0, 0, 6]

    async def test_tokens_of_single_calls_add_up(self, pooled: MakePooled) -> None:
        counts: list[int] = []
        await pooled(ScriptedLLM(samples=False)).complete(ask(n=3), Progress(tokens=counts.append))
        assert max(counts) == counts[-1] == 9

    async def test_loading_is_reported_once(self, pooled: MakePooled) -> None:
        states: list[bool] = []
        llm = pooled(ScriptedLLM())
        for _ in range(2):
            await llm.complete(ASK, Progress(loading=states.append))
        assert states == [True, False]


def test_info_is_the_backends_under_the_pools_name(pooled: MakePooled) -> None:
    llm = pooled(ScriptedLLM(), price_prompt=1.0, price_completion=2.0, context_length=4096)
    assert llm.info == LLMInfo("mine", "scripted", "script", True, True, 4096, 1.0, 2.0)
    assert repr(llm) == "PooledLLM('mine')"
