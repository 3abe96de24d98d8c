"""SMCS against scripted LLMs: whom it calls, with what, when, and what it makes of failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smcs.errors import ConfigError, NoAnswerError, QuestionError, ServerError, WeightsError
from smcs.types import Aggregation, CallUpdate, Event, Message, Planned, Question, Retrieved, Scored

QUESTION = Question("question fig")


def references_in(llm: Any, request_index: int = -1) -> str:
    """What stood under "Responses from models:" in a request."""
    return str(llm.requests[request_index].messages[0].content.partition("Responses from models:")[2])


def is_aggregation(request: Any) -> bool:
    return "Responses from models:" in request.messages[0].content


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


class TestCallGraph:
    async def test_the_k_best_are_asked_once_and_the_aggregator_once_a_subset(self, lab: Any) -> None:
        answer = await lab.strategy().answer(QUESTION, seed=0)
        trace = answer.trace
        assert [r.llm for r in trace.referencers] == ["a", "b", "c"]
        assert not lab.llms["d"].requests
        assert len(trace.subsets) == len(trace.aggregations) == 4
        aggregations = [r for r in lab.llms["a"].requests if is_aggregation(r)]
        assert len(aggregations) == len(set(trace.subsets))
        assert sum(r.n for r in aggregations) == 4
        assert [len([r for r in lab.llms[n].requests if not is_aggregation(r)]) for n in "abc"] == [1, 1, 1]
        assert answer.usage.calls == 3 + len(set(trace.subsets))

    async def test_equal_subsets_are_one_request_with_several_different_samples(self, make_lab: Any) -> None:
        lab = make_lab(n_drop=0)
        answer = await lab.strategy().answer(QUESTION, seed=0)
        (request,) = [r for r in lab.llms["a"].requests if is_aggregation(r)]
        assert request.n == 4
        assert [a.completion.text for a in answer.trace.aggregations] == [f"a says {i}" for i in range(4)]
        assert [a.sample_index for a in answer.trace.aggregations] == [0, 1, 2, 3]

    async def test_references_stand_in_descending_prior(self, make_lab: Any) -> None:
        lab = make_lab(n_drop=0)
        await lab.strategy().answer(QUESTION, seed=0)
        shown = references_in(lab.llms["a"])
        assert shown.index("1. a says") < shown.index("2. b says") < shown.index("3. c says")

    async def test_what_is_asked_for(self, lab: Any) -> None:
        lab.settings |= {"sampling": {"temperature": 0.5, "max_tokens": 99}, "aggregation_sampling": {"max_tokens": 50}}
        await lab.strategy().answer(QUESTION, seed=0)
        reference = lab.llms["b"].requests[0]
        assert (reference.sampling.temperature, reference.sampling.max_tokens) == (0.5, 99)
        assert not reference.sampling.logprobs
        aggregation = next(r for r in lab.llms["a"].requests if is_aggregation(r))
        assert (aggregation.sampling.temperature, aggregation.sampling.max_tokens) == (0.5, 50)
        assert aggregation.sampling.logprobs

    async def test_no_log_probabilities_are_asked_for_where_lambda_is_0(self, make_lab: Any) -> None:
        lab = make_lab(ppl_weight=0)
        answer = await lab.strategy().answer(QUESTION, seed=0)
        assert not any(r.sampling.logprobs for r in lab.llms["a"].requests)
        assert answer.trace.aggregations[0].perplexity is None

    async def test_the_label_is_not_looked_at(self, lab: Any) -> None:
        await lab.strategy().answer(Question("question fig", answer="SECRET", meta={"x": "SECRET"}), seed=0)
        assert not any("SECRET" in m.content for llm in lab.llms.values() for r in llm.requests for m in r.messages)

    async def test_system_prompt_and_history_reach_every_llm(self, lab: Any) -> None:
        history = (Message("system", "BE BRIEF"), Message("user", "EARLIER"), Message("assistant", "BEFORE"))
        await lab.strategy().answer(Question("question fig", system="AS A PIRATE"), seed=0, history=history)
        for name in "abc":
            for request in lab.llms[name].requests:
                text = "\n".join(m.content for m in request.messages)
                assert all(part in text for part in ("BE BRIEF", "EARLIER", "BEFORE", "AS A PIRATE"))
                assert request.messages[-1] == Message("user", "question fig")

    async def test_the_same_seed_gives_the_same_answer_and_another_one_other_calls(self, make_lab: Any) -> None:
        def asked(lab: Any) -> list[Any]:
            return [lab.llms[n].requests for n in "abc"]

        one, same, other = make_lab(), make_lab(), make_lab()
        first = await one.strategy().answer(QUESTION, seed=5)
        second = await same.strategy().answer(QUESTION, seed=5)
        await other.strategy().answer(QUESTION, seed=6)
        assert asked(one) == asked(same)
        assert first.trace.subsets == second.trace.subsets
        assert first.text == second.text
        assert one.llms["b"].requests[0].sampling.seed != other.llms["b"].requests[0].sampling.seed

    async def test_each_call_has_a_seed_of_its_own(self, lab: Any) -> None:
        await lab.strategy().answer(QUESTION, seed=0)
        seeds = [r.sampling.seed for llm in lab.llms.values() for r in llm.requests]
        assert len(set(seeds)) == len(seeds)
        assert all(0 <= seed < 2**31 for seed in seeds)


class TestSchedule:
    async def test_an_aggregation_starts_when_its_own_references_are_in(self, lab: Any) -> None:
        lab.llms["c"].released.clear()
        task = asyncio.create_task(lab.strategy().answer(QUESTION, seed=0))
        await until(lambda: any(is_aggregation(r) for r in lab.llms["a"].requests))
        early = [r for r in lab.llms["a"].requests if is_aggregation(r)]
        assert "a says" in references_in(lab.llms["a"])
        assert not any("c says" in r.messages[0].content for r in early)
        lab.llms["c"].released.set()
        answer = await task
        assert any("c" in subset for subset in answer.trace.subsets), "the seed must draw a subset with the straggler"
        assert len([r for r in lab.llms["a"].requests if is_aggregation(r)]) > len(early)

    async def test_references_are_asked_for_together(self, lab: Any) -> None:
        for llm in lab.llms.values():
            llm.released.clear()
        task = asyncio.create_task(lab.strategy().answer(QUESTION, seed=0))
        await asyncio.gather(*(lab.llms[n].asked.wait() for n in "abc"))
        for llm in lab.llms.values():
            llm.released.set()
        await task

    async def test_a_straggler_that_no_subset_kept_is_not_waited_for(self, make_lab: Any) -> None:
        lab = make_lab(n_aggregations=1)
        strategy = lab.strategy()
        seed = 0
        while "c" in (await strategy.answer(QUESTION, seed=seed)).trace.subsets[0]:
            seed += 1
        lab.llms["c"].released.clear()
        answer = await strategy.answer(QUESTION, seed=seed)
        reference = answer.trace.referencers[2]
        assert lab.llms["c"].cancelled
        assert reference.failure is not None
        assert reference.failure.kind == "cancelled"

    async def test_cancelling_the_answer_cancels_every_call(self, lab: Any) -> None:
        for llm in lab.llms.values():
            llm.released.clear()
        task = asyncio.create_task(lab.strategy().answer(QUESTION, seed=0))
        await asyncio.gather(*(lab.llms[n].asked.wait() for n in "abc"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(lab.llms[n].cancelled for n in "abc")
        assert len(asyncio.all_tasks()) == 1

    async def test_events_tell_the_whole_story(self, lab: Any) -> None:
        events: list[Event] = []
        await lab.strategy().answer(QUESTION, seed=0, observe=events.append)
        assert isinstance(events[0], Retrieved)
        assert isinstance(events[1], Planned)
        assert isinstance(events[-1], Scored)
        last = {(e.stage, e.index): e.state for e in events if isinstance(e, CallUpdate)}
        assert last == {("reference", i): "done" for i in range(3)} | {("aggregation", i): "done" for i in range(4)}


class TestFailures:
    async def test_a_failed_referencer_is_left_out_of_every_subset(self, lab: Any) -> None:
        lab.fail("b")
        answer = await lab.strategy().answer(QUESTION, seed=0)
        failure = answer.trace.referencers[1].failure
        assert failure is not None
        assert (failure.kind, failure.message) == ("bad_request", "refused")
        assert answer.trace.referencers[1].completion is None
        for aggregation in answer.trace.aggregations:
            assert aggregation.seen == tuple(name for name in aggregation.subset if name != "b")
        assert "refused" not in "".join(m.content for r in lab.llms["a"].requests for m in r.messages)

    async def test_a_referencer_that_cannot_be_made_ready_is_one_llm_less(self, lab: Any) -> None:
        lab.llms["c"].start_error = WeightsError("no weights")
        answer = await lab.strategy().answer(QUESTION, seed=0)
        failure = answer.trace.referencers[2].failure
        assert failure is not None
        assert "no weights" in failure.message

    async def test_every_referencer_failed(self, lab: Any) -> None:
        lab.fail("a", "b", "c")
        with pytest.raises(NoAnswerError, match=r"every referencer failed.*refused") as caught:
            await lab.strategy().answer(QUESTION, seed=0)
        assert caught.value.trace is not None
        assert caught.value.trace.winner is None
        assert {a.failure.kind for a in caught.value.trace.aggregations if a.failure} == {"no_references"}

    async def test_every_aggregation_failed(self, lab: Any) -> None:
        lab.settings["aggregator"] = "d"
        lab.fail("d")
        with pytest.raises(NoAnswerError, match=r"every aggregation failed.*d: refused"):
            await lab.strategy().answer(QUESTION, seed=0)

    async def test_one_aggregation_failed_and_the_others_are_scored(self, lab: Any) -> None:
        lab.settings["aggregator"] = "d"

        def reply(request: Any, sample: int) -> str | Exception:
            return "fine" if "b says" in request.messages[0].content else ServerError("broken")

        lab.llms["d"].reply = reply
        answer = await lab.strategy().answer(QUESTION, seed=0)
        failed = [a for a in answer.trace.aggregations if a.failure]
        assert failed, "the seed must draw a subset without b"
        assert all(a.score is None for a in failed)
        assert answer.text == "fine"

    async def test_aggregations_that_cannot_be_embedded_are_chosen_by_perplexity(self, lab: Any) -> None:
        lab.embedder.error = ServerError("down")
        answer = await lab.strategy().answer(QUESTION, seed=0)
        assert any("could not be embedded" in note for note in answer.trace.notes)


class TestChoice:
    async def test_the_winner_has_the_largest_score(self, make_lab: Any) -> None:
        lab = make_lab(n_drop=0)
        lab.llms["a"].reply = lambda request, sample: "zzz" if sample == 1 else "agreed text"
        lab.llms["a"].logprobs = lambda sample: (-0.01,) if sample == 3 else (-0.5,)
        answer = await lab.strategy().answer(QUESTION, seed=0)
        assert answer.trace.winner == 3
        scores = [a.score for a in answer.trace.aggregations]
        assert scores[3] == max(s for s in scores if s is not None)
        odd_one: Aggregation = answer.trace.aggregations[1]
        assert odd_one.similarity == min(a.similarity for a in answer.trace.aggregations if a.similarity is not None)

    async def test_reasoning_is_left_out_of_references_unless_the_pool_says_so(self, make_lab: Any) -> None:
        lab = make_lab(n_drop=0)
        lab.llms["b"].reasoning = "B THINKS"
        lab.llms["c"].reasoning = "C THINKS"
        lab.overrides["c"] = {"include_reasoning": True}
        await lab.strategy().answer(QUESTION, seed=0)
        shown = references_in(lab.llms["a"])
        assert "C THINKS" in shown
        assert "B THINKS" not in shown

    async def test_a_reference_cut_off_by_the_token_limit_is_marked(self, make_lab: Any) -> None:
        lab = make_lab(n_drop=0)
        lab.llms["b"].finish_reason = "length"
        await lab.strategy().answer(QUESTION, seed=0)
        assert references_in(lab.llms["a"]).count("cut off") == 1


class TestAggregator:
    async def test_best_instruction_follower_by_default(self, lab: Any) -> None:
        assert lab.strategy().aggregator == "a"

    def test_one_without_log_probabilities_is_not_chosen(self, lab: Any) -> None:
        lab.llms["a"]._info = lab.llms["a"]._info.__class__("a", "scripted", "a", logprobs=False)
        assert lab.strategy().aggregator == "b"
        lab.settings["ppl_weight"] = 0
        assert lab.strategy().aggregator == "a"

    def test_named_without_log_probabilities(self, lab: Any) -> None:
        lab.llms["b"]._info = lab.llms["b"]._info.__class__("b", "scripted", "b", logprobs=False)
        lab.settings["aggregator"] = "b"
        with pytest.raises(ConfigError, match=r"'b' \(backend 'scripted'\).*lambda = 0, or another aggregator"):
            lab.strategy()

    def test_none_gives_log_probabilities(self, lab: Any) -> None:
        for name, llm in lab.llms.items():
            llm._info = llm._info.__class__(name, "scripted", name, logprobs=False)
        with pytest.raises(ConfigError, match="lambda = 0"):
            lab.strategy()

    def test_unknown(self, lab: Any) -> None:
        lab.settings["aggregator"] = "e"
        with pytest.raises(ConfigError, match="'e' is not in the pool"):
            lab.strategy()

    async def test_by_benchmark_of_the_support_set(self, make_lab: Any) -> None:
        lab = make_lab(n_base=1, gamma=1.0, aggregators={"instructions": "d"})
        strategy = lab.strategy()
        assert (await strategy.answer(Question("question fig"), seed=0)).trace.aggregator == "d"
        assert (await strategy.answer(Question("question apple"), seed=0)).trace.aggregator == "a"


class TestContext:
    def test_k_above_the_pool(self, make_lab: Any) -> None:
        with pytest.raises(ConfigError, match=r"k = 5 .* 4 LLMs"):
            make_lab(k=5).strategy()

    async def test_an_llm_too_short_for_the_question_is_passed_over(self, lab: Any) -> None:
        lab.llms["b"]._info = lab.llms["b"]._info.__class__("b", "scripted", "b", True, True, context_length=80)
        answer = await lab.strategy().answer(Question("question fig " + "word " * 40), seed=0)
        assert [r.llm for r in answer.trace.referencers] == ["a", "c", "d"]
        assert any("b is passed over" in note for note in answer.trace.notes)

    async def test_fewer_than_k_fit(self, lab: Any) -> None:
        for name in "abc":
            lab.llms[name]._info = lab.llms[name]._info.__class__(name, "s", name, True, True, context_length=80)
        lab.settings["aggregator"] = "d"
        answer = await lab.strategy().answer(Question("question fig " + "word " * 40), seed=0)
        assert [r.llm for r in answer.trace.referencers] == ["d"]
        assert answer.trace.subsets == (("d",),) * 4

    async def test_a_question_longer_than_every_context(self, lab: Any) -> None:
        for name, llm in lab.llms.items():
            llm._info = llm._info.__class__(name, "s", name, True, True, context_length=100)
        with pytest.raises(QuestionError, match=r"too long for every LLM .* 100"):
            await lab.strategy().answer(Question("word " * 200), seed=0)

    async def test_the_weakest_reference_is_shortened_first(self, make_lab: Any) -> None:
        lab = make_lab(n_drop=0, aggregator="d", sampling={"max_tokens": 100})
        for name in "abc":
            lab.llms[name].reply = lambda request, sample, name=name: f"{name}-first " + "x " * 150 + f"{name}-last"
        lab.llms["d"]._info = lab.llms["d"]._info.__class__("d", "s", "d", True, True, context_length=600)
        answer = await lab.strategy().answer(QUESTION, seed=0)
        request = lab.llms["d"].requests[0]
        shown = references_in(lab.llms["d"])
        assert shown.count("x ") < 450
        assert "left out" in shown.partition("c-first")[2]
        assert "left out" not in shown.partition("c-first")[0]
        assert await lab.llms["d"].count_tokens(request.messages) + request.sampling.max_tokens <= 600
        assert any("c's reference is shortened" in note for note in answer.trace.notes)

    async def test_max_tokens_never_passes_what_the_context_leaves(self, lab: Any) -> None:
        lab.settings["sampling"] = {"max_tokens": 1000}
        for name, llm in lab.llms.items():
            llm._info = llm._info.__class__(name, "s", name, True, True, context_length=500)
        await lab.strategy().answer(QUESTION, seed=0)
        for llm in lab.llms.values():
            for request in llm.requests:
                assert await llm.count_tokens(request.messages) + request.sampling.max_tokens <= 500
