"""Limits hold whatever calls cost, and what they cut is said."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.strategies.conftest import Lab, ScriptedLLM, is_aggregation

from smcs.config import LLMSettings, SamplingSettings, SMCSSettings
from smcs.errors import BudgetError, ConfigError, DeadlineError, NoAnswerError, RateLimitError, ServerError
from smcs.pool import Pool, PooledLLM
from smcs.pool.budget import Cost
from smcs.protocols import Progress
from smcs.strategies import Parts, build, parse_specs
from smcs.strategies._afford import Effort, affordable, lesser
from smcs.system import System
from smcs.types import Completion, Limits, LLMInfo, Message, Question, Request

QUESTION = Question("question fig", id="fig")
MAX_TOKENS = 20


class Metered:
    """Takes as many tokens as it likes within the rules, fails as it likes, and keeps the bill."""

    def __init__(self, name: str, rng: random.Random, bill: Bill, *, samples: bool) -> None:
        self.info = LLMInfo(name, "metered", name, True, True, None, price_prompt=3.0, price_completion=9.0)
        self._rng, self._bill, self._samples = rng, bill, samples

    async def start(self) -> None:
        pass

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        await asyncio.sleep(0)
        if self._rng.random() < 0.1:
            raise RateLimitError("not now")
        n = request.n if self._samples else 1
        prompt = self._rng.randint(1, sum(len(m.content.encode()) for m in request.messages))
        assert request.sampling.max_tokens == MAX_TOKENS
        generated = [self._rng.randint(1, MAX_TOKENS) for _ in range(n)]
        self._bill.add(prompt, sum(generated))
        if self._rng.random() < 0.15:
            raise ServerError("broke after it had generated")
        return [
            Completion(self.info.name, f"The answer is {i}.", None, "stop", (-0.1,), 0 if i else prompt, tokens)
            for i, tokens in enumerate(generated)
        ]

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(m.content) for m in messages)

    async def aclose(self) -> None:
        pass


class Bill:
    def __init__(self) -> None:
        self.tokens, self.usd = 0, 0.0

    def add(self, prompt: int, generated: int) -> None:
        self.tokens += prompt + generated
        self.usd += (3.0 * prompt + 9.0 * generated) / 1e6


async def no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


SPECS = [
    "smcs",
    "smcs:adaptive=true",
    "majority",
    "self-consistency:n=4",
    "self-moa:n=3",
    "moa:layers=2",
    "best-of-n:n=3",
]


@settings(max_examples=120, deadline=None)
@given(
    spec=st.sampled_from(SPECS),
    seed=st.integers(0, 10_000),
    tokens=st.none() | st.integers(1, 30_000),
    usd=st.none() | st.floats(0, 0.1),
    calls=st.none() | st.integers(1, 12),
    samples=st.booleans(),
)
def test_whatever_calls_cost_no_limit_is_exceeded(
    spec: str, seed: int, tokens: int | None, usd: float | None, calls: int | None, samples: bool
) -> None:
    rng, bill = random.Random(seed), Bill()
    lab = Lab(sampling=SamplingSettings(max_tokens=MAX_TOKENS))
    llms = []
    for name in "abcd":
        own = LLMSettings(name=name, backend="metered", max_retries=2)
        llms.append(PooledLLM(Metered(name, rng, bill, samples=samples), own, random.Random(0), sleep=no_wait))

    async def run() -> int | None:
        (parsed,) = parse_specs(spec)
        strategy = build(parsed, Parts(Pool(llms), lab.bank(), lab.embedder, SMCSSettings(**lab.settings)))
        try:
            answer = await strategy.answer(QUESTION, seed=seed, limits=Limits(calls=calls, tokens=tokens, usd=usd))
        except NoAnswerError:
            return None
        assert answer.text
        return answer.usage.calls

    made = asyncio.run(run())
    assert tokens is None or bill.tokens <= tokens
    assert usd is None or bill.usd <= usd + 1e-12
    assert calls is None or made is None or made <= calls


@given(st.integers(1, 15), st.integers(1, 16), st.integers(0, 400), st.integers(1, 9), st.integers(1, 9))
def test_the_planned_effort_fits_and_more_is_never_less(k: int, n: int, limit: int, one: int, per: int) -> None:
    def cost(effort: Effort) -> Cost:
        return Cost(tokens=effort.referencers * one + effort.aggregations * effort.referencers * per)

    def planned(most: int) -> Effort:
        return affordable(lesser(k, n), cost, lambda worst: worst.tokens <= most)

    effort = planned(limit)
    assert cost(effort).tokens <= limit
    assert effort.referencers <= k
    assert effort.aggregations <= n
    more = planned(limit + 50)
    assert (more.aggregations, more.referencers) >= (effort.aggregations, effort.referencers) or cost(more).tokens >= (
        cost(effort).tokens
    )


def test_efforts_step_down_as_documented() -> None:
    efforts = [(e.referencers, e.aggregations) for e in lesser(7, 8)]
    assert efforts[:4] == [(7, 8), (6, 8), (5, 8), (4, 8)]
    assert efforts[4:11] == [(4, n) for n in range(7, 0, -1)]
    assert efforts[11:] == [(3, 1), (2, 1), (1, 0)]
    assert [(e.referencers, e.aggregations) for e in lesser(1, 2)] == [(1, 2), (1, 1), (1, 0)]


def test_limits_that_cannot_be_kept_are_refused() -> None:
    for wrong in ({"calls": 0}, {"tokens": -1}, {"usd": -0.1}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(ConfigError, match="a limit of"):
            Limits(**wrong)


class TestBudget:
    async def test_without_room_for_all_there_are_fewer_referencers(self, make_lab: type[Lab]) -> None:
        lab = make_lab(k=4, drop="none", n_aggregations=2, sampling={"max_tokens": 10})
        answer = await lab.strategy().answer(QUESTION, seed=0, limits=Limits(calls=5))
        assert [r.llm for r in answer.trace.referencers] == ["a", "b", "c"]
        assert answer.text.startswith("a says")
        assert answer.trace.winner is not None
        assert any("3 of 4 references" in cut for cut in answer.trace.cuts)

    async def test_with_room_for_one_call_the_best_referencer_answers(self, lab: Lab) -> None:
        answer = await lab.strategy().answer(QUESTION, seed=0, limits=Limits(calls=1))
        assert [r.llm for r in answer.trace.referencers] == ["a"]
        assert answer.trace.aggregations == ()
        assert answer.usage.calls == 1
        assert any("answers alone" in cut for cut in answer.trace.cuts)

    async def test_without_room_for_one_call_nothing_is_asked(self, lab: Lab) -> None:
        lab.settings["sampling"] = {"max_tokens": 10}
        with pytest.raises(BudgetError, match="where 5 are allowed"):
            await lab.strategy().answer(QUESTION, seed=0, limits=Limits(tokens=5))
        assert not any(lab.asked(name) for name in "abcd")

    async def test_voters_without_room_are_left_out_and_the_others_vote(self, lab: Lab) -> None:
        lab.answers(a="The answer is 1.", b="The answer is 2.", c="The answer is 2.", d="The answer is 1.")
        answer = await lab.build("majority").answer(QUESTION, seed=0, limits=Limits(calls=3))
        assert answer.text == "The answer is 2."
        assert answer.trace.referencers[3].failure
        assert answer.trace.referencers[3].failure.kind == "budget"
        assert "left out, the limits leave no room: d" in answer.trace.cuts

    async def test_fewer_samples_where_not_all_fit(self, lab: Lab) -> None:
        lab.llms["b"] = ScriptedLLM("b", samples=False)  # one request a sample
        answer = await lab.build("self-consistency:n=5:llm=b").answer(QUESTION, seed=0, limits=Limits(calls=3))
        assert sum(r.completion is not None for r in answer.trace.referencers) == 3

    async def test_where_dollars_are_limited_an_llm_without_a_price_is_not_asked(self, lab: Lab) -> None:
        for name in "acd":
            lab.overrides[name] = {"price_prompt": 1.0, "price_completion": 1.0}
        lab.settings["sampling"] = {"max_tokens": 10}
        answer = await lab.strategy().answer(QUESTION, seed=0, limits=Limits(usd=1.0))
        assert [r.llm for r in answer.trace.referencers] == ["a", "c", "d"]
        assert any("b is left out: its price is not known" in cut for cut in answer.trace.cuts)
        with pytest.raises(BudgetError):
            await lab.build("single:llm=b").answer(QUESTION, seed=0, limits=Limits(usd=1.0))

    async def test_without_limits_nothing_is_cut(self, lab: Lab) -> None:
        answer = await lab.strategy().answer(QUESTION, seed=0, limits=Limits())
        assert answer.trace.cuts == ()


def hold_aggregations(lab: Lab, name: str) -> None:
    """Have an LLM answer, but never end an aggregation."""
    llm = lab.llms[name]
    complete = llm.complete

    async def held(request: Request, progress: Progress) -> Sequence[Completion]:
        if is_aggregation(request):
            await asyncio.Event().wait()
        return await complete(request, progress)

    llm.complete = held  # type: ignore[method-assign]


class TestDeadline:
    """The clock runs: each waits for a deadline of a fraction of a second."""

    async def test_a_straggler_is_left_out_and_the_others_are_aggregated(self, lab: Lab) -> None:
        lab.llms["b"].released.clear()
        answer = await lab.strategy().answer(QUESTION, seed=0, limits=Limits(seconds=1.0))
        assert answer.trace.winner is not None
        assert all("b" not in a.seen for a in answer.trace.aggregations)
        assert "left out, not in in time: b" in answer.trace.cuts
        assert lab.llms["b"].cancelled

    async def test_without_an_aggregation_in_time_the_best_reference_is_the_answer(self, lab: Lab) -> None:
        hold_aggregations(lab, "a")
        lab.settings["aggregator"] = "a"
        answer = await lab.strategy().answer(QUESTION, seed=0, limits=Limits(seconds=0.5))
        assert answer.text == "a says 0"
        assert answer.trace.winner is None
        assert "4 of 4 aggregations left out: not in in time" in answer.trace.cuts

    async def test_where_nothing_is_in_the_error_is_typed_and_has_the_trace(self, lab: Lab) -> None:
        for llm in lab.llms.values():
            llm.released.clear()
        with pytest.raises(DeadlineError) as caught:
            await lab.strategy().answer(QUESTION, seed=0, limits=Limits(seconds=0.3))
        assert caught.value.trace is not None
        assert all(r.failure and r.failure.kind == "deadline" for r in caught.value.trace.referencers)
        assert all(llm.cancelled for name, llm in lab.llms.items() if lab.asked(name))
        assert len(asyncio.all_tasks()) == 1

    @pytest.mark.parametrize("spec", ["majority", "weighted", "moa:layers=2", "self-moa:n=2", "self-consistency:n=2"])
    async def test_every_strategy_makes_do_with_what_is_in(self, lab: Lab, spec: str) -> None:
        lab.settings["aggregator"] = "a"
        lab.llms["d"].released.clear()
        begin = time.monotonic()
        answer = await lab.build(spec).answer(QUESTION, seed=0, limits=Limits(seconds=1.0))
        assert answer.text
        assert time.monotonic() - begin < 30, "it does not wait for the one that hangs"

    async def test_no_strategy_can_be_later_than_its_deadline(self, lab: Lab) -> None:
        system = System(lab.pool(), lab.bank(), lab.embedder, SMCSSettings(**lab.settings))

        async def stuck(*arguments: Any, **options: Any) -> Any:
            await asyncio.Event().wait()

        system._answering.answer = stuck  # type: ignore[method-assign]
        with pytest.raises(DeadlineError):
            await system.ask("question fig", limits=Limits(seconds=0.05))


class TestDeadLLMs:
    async def test_the_next_best_takes_the_place_of_one_that_only_fails(self, make_lab: type[Lab]) -> None:
        lab = make_lab(k=3, aggregator="a")
        lab.overrides["b"] = {"breaker_failures": 2}
        lab.fail("b")
        lab.llms["b"].reply = lambda request, sample: ServerError("down")
        strategy = lab.strategy()
        for seed in range(2):
            assert [r.llm for r in (await strategy.answer(QUESTION, seed=seed)).trace.referencers] == ["a", "b", "c"]
        answer = await strategy.answer(QUESTION, seed=2)
        assert [r.llm for r in answer.trace.referencers] == ["a", "c", "d"]
        assert any("b is left out: it only fails (the last: down)" in cut for cut in answer.trace.cuts)

    async def test_the_next_aggregator_by_the_same_rule_aggregates(self, make_lab: type[Lab]) -> None:
        lab = make_lab(k=2, aggregator="d")
        pool = lab.pool()
        strategy = build(parse_specs("smcs")[0], Parts(pool, lab.bank(), lab.embedder, SMCSSettings(**lab.settings)))
        for _ in range(5):
            pool["d"].breaker.failed("server", "down")
        answer = await strategy.answer(QUESTION, seed=0)
        assert answer.trace.aggregator == "a"
        assert any("a aggregates in place of d" in cut for cut in answer.trace.cuts)

    @pytest.mark.parametrize(
        ("spec", "asked"),
        [("router", ["b"]), ("retrieval-top1", ["b"]), ("majority", ["b", "c", "d"]), ("single", ["b"])],
    )
    async def test_other_strategies_pass_it_over_too(self, lab: Lab, spec: str, asked: list[str]) -> None:
        pool = lab.pool()
        strategy = build(parse_specs(spec)[0], Parts(pool, lab.bank(), lab.embedder, SMCSSettings(**lab.settings)))
        for _ in range(5):
            pool["a"].breaker.failed("server", "down")
        answer = await strategy.answer(QUESTION, seed=0)
        assert [r.llm for r in answer.trace.referencers] == asked
        assert answer.trace.cuts

    async def test_one_that_is_named_is_asked_all_the_same(self, lab: Lab) -> None:
        pool = lab.pool()
        parts = Parts(pool, lab.bank(), lab.embedder, SMCSSettings(**lab.settings))
        strategy = build(parse_specs("single:llm=a")[0], parts)
        for _ in range(5):
            pool["a"].breaker.failed("server", "down")
        assert (await strategy.answer(QUESTION, seed=0)).text == "a says 0"
        assert pool.health["a"].state == "closed", "it has answered"

    async def test_where_all_only_fail_all_are_tried(self, lab: Lab) -> None:
        pool = lab.pool()
        parts = Parts(pool, lab.bank(), lab.embedder, SMCSSettings(**lab.settings))
        for name in "abcd":
            for _ in range(5):
                pool[name].breaker.failed("server", "down")
        assert (await build(parse_specs("smcs")[0], parts).answer(QUESTION, seed=0)).text
