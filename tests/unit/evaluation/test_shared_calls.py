"""Calls are made once, whoever asks, and answers are accounted for as if nobody else had asked."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from smcs.errors import ServerError
from smcs.evaluation import open_results
from smcs.evaluation.progress import Tally
from smcs.evaluation.shared import SharedCalls, SharedEmbedder
from smcs.pool.budget import Budget
from smcs.types import Completion, Failure, Message, Request, Sampling

ASK = Request((Message("user", "q"),), Sampling(temperature=0.7, seed=3, max_tokens=50))


def shared(lab: Any, store: Any, budget: Budget | None = None) -> Any:
    calls = SharedCalls(store, budget or Budget(), Tally())
    return calls, calls.pool(lab.pool())


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def texts(results: Any) -> list[str]:
    return [r.text for r in results]


class TestSharing:
    async def test_the_same_call_is_made_once(self, lab: Any, store: Any) -> None:
        _, pool = shared(lab, store)
        for _ in range(3):
            (result,) = await pool["a"].complete(ASK)
            assert result.text == "The answer is 1."
        assert lab.llms["a"].samples == 1

    async def test_who_asks_while_it_is_under_way_waits_for_it(self, lab: Any, store: Any) -> None:
        calls, pool = shared(lab, store)
        lab.llms["a"].free.clear()
        tasks = [asyncio.create_task(pool["a"].complete(ASK)) for _ in range(5)]
        await until(lambda: lab.llms["a"].requests)
        lab.llms["a"].free.set()
        results = await asyncio.gather(*tasks)
        assert lab.llms["a"].samples == 1
        assert all(r == results[0] for r in results)
        assert calls.tally.snapshot().reused == 4

    async def test_another_llm_message_setting_seed_or_sample_is_another_call(self, lab: Any, store: Any) -> None:
        _, pool = shared(lab, store)
        await pool["a"].complete(ASK)
        await pool["b"].complete(ASK)
        await pool["a"].complete(dataclasses.replace(ASK, messages=(Message("user", "other"),)))
        await pool["a"].complete(dataclasses.replace(ASK, sampling=Sampling(temperature=0.7, seed=4, max_tokens=50)))
        await pool["a"].complete(dataclasses.replace(ASK, sampling=Sampling(temperature=0.1, seed=3, max_tokens=50)))
        await pool["a"].complete(dataclasses.replace(ASK, sample_index=1))
        assert (lab.llms["a"].samples, lab.llms["b"].samples) == (5, 1)

    async def test_only_the_missing_samples_are_asked_for(self, lab: Any, store: Any) -> None:
        lab.llms["a"].reply = lambda question, sample: str(sample)
        _, pool = shared(lab, store)
        await pool["a"].complete(dataclasses.replace(ASK, sample_index=2))
        results = await pool["a"].complete(dataclasses.replace(ASK, n=5))
        assert texts(results) == [f"The answer is {i}." for i in range(5)]
        assert [(r.sample_index, r.n) for r in lab.llms["a"].requests] == [(2, 1), (0, 2), (3, 2)]
        assert [r.sampling.seed for r in lab.llms["a"].requests] == [5, 3, 6]

    async def test_greedy_samples_are_one(self, lab: Any, store: Any) -> None:
        _, pool = shared(lab, store)
        greedy = Sampling(temperature=0.0, seed=1, max_tokens=50)
        results = await pool["a"].complete(dataclasses.replace(ASK, sampling=greedy, n=4))
        await pool["a"].complete(dataclasses.replace(ASK, sampling=dataclasses.replace(greedy, seed=9)))
        assert len(results) == 4
        assert lab.llms["a"].samples == 1

    async def test_a_later_run_finds_what_an_earlier_one_stored(self, lab: Any, tmp_path: Path) -> None:
        for _ in range(2):
            async with open_results(tmp_path / "r.db") as store:
                _, pool = shared(lab, store)
                (result,) = await pool["a"].complete(ASK)
                assert isinstance(result, Completion)
                assert result.llm == "a"
        assert lab.llms["a"].samples == 1

    async def test_log_probabilities_come_with_every_call_that_gives_them(self, lab: Any, store: Any) -> None:
        _, pool = shared(lab, store)
        (plain,) = await pool["a"].complete(ASK)
        wanting = dataclasses.replace(ASK, sampling=dataclasses.replace(ASK.sampling, logprobs=True))
        (with_logprobs,) = await pool["a"].complete(wanting)
        assert plain.token_logprobs is None
        assert with_logprobs.token_logprobs == pytest.approx((-0.1, -0.2))
        assert lab.llms["a"].samples == 1

    async def test_an_llm_that_says_it_gives_them_and_does_not(self, lab: Any, store: Any) -> None:
        lab.llms["a"].gives_logprobs = False
        _, pool = shared(lab, store)
        (plain,) = await pool["a"].complete(ASK)
        assert isinstance(plain, Completion)
        wanting = dataclasses.replace(ASK, sampling=dataclasses.replace(ASK.sampling, logprobs=True))
        (refused,) = await pool["a"].complete(wanting)
        assert isinstance(refused, Failure)
        assert refused.kind == "logprobs_unavailable"


class TestFailures:
    async def test_a_failure_is_the_same_for_all_of_a_run_and_never_stored(self, lab: Any, tmp_path: Path) -> None:
        lab.llms["a"].reply = lambda question, sample: ServerError("down")
        async with open_results(tmp_path / "r.db") as store:
            _, pool = shared(lab, store)
            for _ in range(3):
                (result,) = await pool["a"].complete(ASK)
                assert isinstance(result, Failure)
            assert lab.llms["a"].samples == 1
        lab.llms["a"].reply = lambda question, sample: "2"
        async with open_results(tmp_path / "r.db") as store:
            _, pool = shared(lab, store)
            (result,) = await pool["a"].complete(ASK)
        assert isinstance(result, Completion)

    async def test_an_llm_that_only_fails_stops_the_run(self, lab: Any, store: Any) -> None:
        lab.llms["a"].reply = lambda question, sample: ServerError("down")
        calls, pool = shared(lab, store)
        reasons: list[str] = []
        calls.stop = reasons.append
        for i in range(20):
            await pool["a"].complete(dataclasses.replace(ASK, messages=(Message("user", str(i)),)))
        assert len(reasons) == 1
        assert "a only fails (20 calls in a row" in reasons[0]


class TestCancellation:
    async def test_one_of_two_who_wait_leaves(self, lab: Any, store: Any) -> None:
        _, pool = shared(lab, store)
        lab.llms["a"].free.clear()
        first, second = (asyncio.create_task(pool["a"].complete(ASK)) for _ in range(2))
        await until(lambda: lab.llms["a"].requests)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        lab.llms["a"].free.set()
        assert texts(await second) == ["The answer is 1."]
        assert lab.llms["a"].cancelled == 0

    async def test_the_last_who_waits_leaves_and_the_call_ends(self, lab: Any, store: Any) -> None:
        calls, pool = shared(lab, store)
        lab.llms["a"].free.clear()
        task = asyncio.create_task(pool["a"].complete(ASK))
        await until(lambda: lab.llms["a"].requests)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        again = asyncio.create_task(pool["a"].complete(ASK))  # must not be given the cancelled call
        await until(lambda: len(lab.llms["a"].requests) == 2)
        assert lab.llms["a"].cancelled == 1
        lab.llms["a"].free.set()
        assert texts(await again) == ["The answer is 1."]
        await calls.aclose()
        assert len(asyncio.all_tasks()) == 1


class TestAccounts:
    async def test_usage_is_that_of_a_request_of_its_own(self, lab: Any, store: Any) -> None:
        _, pool = shared(lab, store)
        alone = await pool["b"].complete(dataclasses.replace(ASK, n=4))
        await pool["a"].complete(dataclasses.replace(ASK, sample_index=1))
        await pool["a"].complete(dataclasses.replace(ASK, sample_index=3))
        among = await pool["a"].complete(dataclasses.replace(ASK, n=4))
        assert [r.prompt_tokens for r in among] == [10, 0, 0, 0]
        assert [(r.prompt_tokens, r.cost_usd) for r in among] == [(r.prompt_tokens, r.cost_usd) for r in alone]
        assert among[0].cost_usd == pytest.approx(15e-6)

    async def test_every_sample_pays_its_prompt_where_each_is_a_request(self, make_lab: Any, store: Any) -> None:
        lab = make_lab()
        lab.llms["a"].info = dataclasses.replace(lab.llms["a"].info, multiple_samples=False)
        _, pool = shared(lab, store)
        results = await pool["a"].complete(dataclasses.replace(ASK, n=2))
        assert [r.prompt_tokens for r in results] == [10, 10]

    async def test_the_budget_is_never_exceeded_and_the_rest_waits(self, lab: Any, store: Any) -> None:
        # A call takes more than 100 tokens at the worst, by the bytes of its prompt and 50 generated, and in fact 15.
        calls, pool = shared(lab, store, Budget(tokens=150))
        reasons: list[str] = []
        calls.stop = reasons.append
        asked = [asyncio.create_task(pool["a"].complete(dataclasses.replace(ASK, sample_index=i))) for i in range(10)]
        await until(lambda: reasons)
        assert reasons == ["the budget is used up"]
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await calls.aclose()
        made = lab.llms["a"].samples
        assert 1 < made < 10
        assert 15 * made <= 150
        _, pool = shared(lab, store)
        await pool["a"].complete(dataclasses.replace(ASK, n=10))
        assert lab.llms["a"].samples == 10, "what was paid for is stored, the last call included"


async def test_a_text_is_embedded_once(lab: Any) -> None:
    embedder = SharedEmbedder(lab.embedder)
    one = await embedder.embed(["x", "y", "x"], "query")
    two = await embedder.embed(["y"], "query")
    await embedder.embed(["y"], "document")
    assert lab.embedder.embedded == ["x", "y", "y"]
    assert (one[1] == two[0]).all()
    assert one.shape == (3, 26)
