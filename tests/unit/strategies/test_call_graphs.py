"""Every strategy but SMCS against scripted LLMs: whom it calls, how often, with what, and what it makes of failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smcs.errors import ConfigError, NoAnswerError
from smcs.types import CallUpdate, Event, Planned, Question

# Of the six bank questions a is right on all, b on all but the first, ... The odd ones are of "instructions".
QUESTION = Question("question fig", id="q1", answer="SECRET", benchmark="other")


def counts(lab: Any) -> dict[str, int]:
    return {name: sum(r.n for r in llm.requests) for name, llm in lab.llms.items()}


def is_aggregation(request: Any) -> bool:
    return "Responses from models:" in request.messages[0].content


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


async def together(lab: Any, strategy: Any, names: str) -> None:
    """All of these LLMs are asked before any has answered."""
    for llm in lab.llms.values():
        llm.released.clear()
    task = asyncio.create_task(strategy.answer(QUESTION, seed=0))
    await asyncio.gather(*(lab.llms[name].asked.wait() for name in names))
    for llm in lab.llms.values():
        llm.released.set()
    await task


class TestSingle:
    async def test_the_best_over_the_whole_bank_by_default(self, lab: Any) -> None:
        answer = await lab.build("single").answer(QUESTION, seed=0)
        assert answer.text == "a says 0"
        assert counts(lab) == {"a": 1, "b": 0, "c": 0, "d": 0}
        assert answer.usage.calls == 1

    async def test_the_one_that_is_named(self, lab: Any) -> None:
        assert (await lab.build("single:llm=c").answer(QUESTION, seed=0)).text == "c says 0"

    async def test_its_failure_is_the_failure(self, lab: Any) -> None:
        lab.fail("a")
        with pytest.raises(NoAnswerError, match="the LLM failed: a: refused") as caught:
            await lab.build("single").answer(QUESTION, seed=0)
        assert caught.value.trace is not None
        assert caught.value.trace.referencers[0].failure is not None


class TestRouter:
    async def test_the_best_on_the_question_s_benchmark(self, make_lab: Any) -> None:
        lab = make_lab()
        answer = await lab.build("router").answer(Question("q", id="q", benchmark="instructions"), seed=0)
        assert answer.text == "a says 0"
        assert "the best on instructions" in answer.trace.notes[0]

    async def test_a_benchmark_that_the_bank_does_not_have(self, lab: Any) -> None:
        answer = await lab.build("router").answer(Question("live question"), seed=0)
        assert "the best on the whole bank" in answer.trace.notes[0]


class TestRetrievalTop1:
    async def test_the_largest_prior(self, make_lab: Any) -> None:
        answer = await make_lab(n_base=1, gamma=1.0).build("retrieval-top1").answer(QUESTION, seed=0)
        # The nearest question is "question fig", which all four get right: the tie goes to the best overall.
        assert [r.llm for r in answer.trace.referencers] == ["a"]
        assert [s.id for s in answer.trace.support] == ["fig"]


class TestMajority:
    async def test_everybody_is_asked_once_and_together(self, lab: Any) -> None:
        await together(lab, lab.build("majority"), "abcd")
        assert counts(lab) == {"a": 1, "b": 1, "c": 1, "d": 1}

    async def test_the_text_is_the_response_of_the_best_llm_that_states_the_winner(self, lab: Any) -> None:
        lab.answers(
            a="The answer is 1.", b="So, B. The answer is 2.", c="So, C. The answer is 2.", d="The answer is 3."
        )
        answer = await lab.build("majority").answer(QUESTION, seed=0)
        assert answer.text == "So, B. The answer is 2."
        assert any("votes: 2 2, 1 1, 3 1" in note for note in answer.trace.notes)

    async def test_a_failed_llm_does_not_vote(self, lab: Any) -> None:
        lab.answers(a="The answer is 1.", b="The answer is 2.", c="The answer is 2.", d="The answer is 1.")
        lab.fail("c")
        assert (await lab.build("majority").answer(QUESTION, seed=0)).text == "The answer is 1."

    async def test_nothing_to_vote_on_is_the_best_llm_s_response_and_says_so(self, lab: Any) -> None:
        live = Question("write a poem")
        lab.answers(**{name: f"{name} " + "sings of many things " * 10 for name in "abcd"})
        answer = await lab.build("majority").answer(live, seed=0)
        assert answer.text.startswith("a sings")
        assert any("no response states an answer" in note for note in answer.trace.notes)

    async def test_everybody_failed(self, lab: Any) -> None:
        lab.fail(*"abcd")
        with pytest.raises(NoAnswerError, match="every LLM failed"):
            await lab.build("majority").answer(QUESTION, seed=0)


class TestWeighted:
    async def test_the_bank_s_strongest_outvotes_two_weak_ones(self, make_lab: Any) -> None:
        lab = make_lab("abcdef")
        lab.answers(a="The answer is 1.", b="none of it " * 20, c="none of it " * 20, e="The answer is 2.")
        lab.answers(d="none of it " * 20, f="The answer is 2.")
        live = Question("question fig")
        assert (await lab.build("majority").answer(live, seed=0)).text == "The answer is 2."
        answer = await lab.build("weighted:n_base=6:open_options=2").answer(live, seed=0)
        assert answer.text == "The answer is 1."

    async def test_everybody_is_asked_once_and_together(self, lab: Any) -> None:
        await together(lab, lab.build("weighted"), "abcd")
        assert counts(lab) == dict.fromkeys("abcd", 1)

    async def test_only_the_k_with_the_largest_priors_are_asked(self, make_lab: Any) -> None:
        lab = make_lab(k=2)
        await lab.build("weighted:voters=retrieved").answer(QUESTION, seed=0)
        assert sum(counts(lab).values()) == 2

    async def test_voters_without_weight_still_count_alike(self, make_lab: Any) -> None:
        lab = make_lab("ab", n_base=6)
        lab.answers(a="none of it " * 20, b="The answer is 2.")
        assert (await lab.build("weighted:sharpness=20").answer(Question("q live"), seed=0)).text == "The answer is 2."


class TestSelfConsistency:
    async def test_one_request_for_all_samples_of_the_best_llm(self, lab: Any) -> None:
        said = ["The answer is 1.", "It is so. The answer is 2.", "The answer is 2.", "The answer is 3."]
        lab.llms["a"].reply = lambda request, sample: said[sample]
        answer = await lab.build("self-consistency:n=4").answer(QUESTION, seed=0)
        assert answer.text == "It is so. The answer is 2."
        assert [r.n for r in lab.asked("a")] == [4]
        assert answer.usage.calls == 1
        assert [r.llm for r in answer.trace.referencers] == ["a"] * 4

    async def test_where_nothing_can_be_voted_on_the_llm_picks(self, lab: Any) -> None:
        def reply(request: Any, sample: int) -> str:
            if "Most consistent" in request.messages[0].content:
                return "Most consistent: 2"
            return f"poem {sample} " + "of many words " * 10

        lab.llms["a"].reply = reply
        answer = await lab.build("self-consistency:n=3").answer(Question("write a poem"), seed=0)
        assert answer.text.startswith("poem 1")
        pick = lab.asked("a")[-1]
        assert pick.sampling.temperature == 0
        assert all(f"poem {i}" in pick.messages[1].content for i in range(3))
        assert answer.usage.calls == 2

    @pytest.mark.parametrize("reply", ["None of them, or all.", "Most consistent: 9", "1 or 2"])
    async def test_a_pick_that_names_no_response_is_the_first(self, lab: Any, reply: str) -> None:
        lab.llms["a"].reply = lambda request, sample: (
            reply if "Most consistent" in request.messages[0].content else f"poem {sample} " + "of many words " * 10
        )
        answer = await lab.build("self-consistency:n=3").answer(Question("write a poem"), seed=0)
        assert answer.text.startswith("poem 0")
        assert any("named none; the answer is the first response" in note for note in answer.trace.notes)

    async def test_always_and_never(self, lab: Any) -> None:
        lab.llms["a"].reply = lambda request, sample: (
            "Most consistent: 3" if "Most consistent" in request.messages[0].content else f"The answer is {sample}."
        )
        assert (await lab.build("self-consistency:n=3:universal=always").answer(QUESTION, seed=0)).text.endswith("2.")
        before = len(lab.asked("a"))
        await lab.build("self-consistency:n=3:universal=never").answer(Question("write a poem"), seed=0)
        assert len(lab.asked("a")) == before + 1


class TestBestOfN:
    async def test_the_least_surprised_wins(self, lab: Any) -> None:
        lab.llms["a"].logprobs = lambda sample: (-0.5, -0.5) if sample != 2 else (-0.1, -0.3)
        answer = await lab.build("best-of-n:n=4").answer(QUESTION, seed=0)
        assert answer.text == "a says 2"
        assert lab.asked("a")[0].sampling.logprobs

    async def test_an_llm_without_log_probabilities_is_passed_over(self, lab: Any) -> None:
        lab.llms["a"]._info = lab.llms["a"]._info.__class__("a", "scripted", "a", logprobs=False)
        assert (await lab.build("best-of-n:n=2").answer(QUESTION, seed=0)).text.startswith("b says")
        with pytest.raises(ConfigError, match="'a' gives none"):
            lab.build("best-of-n:llm=a")


class TestMoA:
    async def test_all_answer_together_and_one_aggregates(self, lab: Any) -> None:
        lab.answers(a="from a", b="from b", c="from c", d="from d")
        strategy = lab.build("moa:aggregator=c")
        await together(lab, strategy, "abcd")
        assert counts(lab) == {"a": 1, "b": 1, "c": 2, "d": 1}
        answer = await strategy.answer(QUESTION, seed=0)
        assert answer.text == "aggregated by c"
        shown = lab.asked("c")[-1].messages[0].content
        assert [shown.index(f"from {name}") for name in "abcd"] == sorted(shown.index(f"from {n}") for n in "abcd")
        assert answer.trace.winner == 0

    async def test_a_further_layer_works_on_the_layer_before(self, lab: Any) -> None:
        lab.answers(a="from a", b="from b", c="from c", d="from d")
        answer = await lab.build("moa:layers=2:aggregator=a").answer(QUESTION, seed=0)
        assert counts(lab) == {"a": 3, "b": 2, "c": 2, "d": 2}
        assert answer.usage.calls == 9
        last = lab.asked("a")[-1].messages[0].content
        assert "aggregated by d" in last
        assert "from d" not in last
        assert len(answer.trace.aggregations) == 5
        assert answer.trace.winner == 4

    async def test_a_further_layer_is_asked_together(self, lab: Any) -> None:
        def answer_once(name: str) -> Any:
            def reply(request: Any, sample: int) -> str:
                if not is_aggregation(request):
                    lab.llms[name].released.clear()  # holds its next answer back
                return f"from {name}"

            return reply

        for name, llm in lab.llms.items():
            llm.reply = answer_once(name)
        task = asyncio.create_task(lab.build("moa:layers=2:aggregator=a").answer(QUESTION, seed=0))
        await until(lambda: all(len(lab.asked(name)) == 2 for name in "abcd"))
        for llm in lab.llms.values():
            llm.released.set()
        await task

    async def test_some_llms_only(self, lab: Any) -> None:
        await lab.build('moa:llms=["b", "c"]:aggregator=d').answer(QUESTION, seed=0)
        assert counts(lab) == {"a": 0, "b": 1, "c": 1, "d": 1}

    async def test_a_failed_llm_is_left_out_and_a_failed_aggregation_is_the_failure(self, lab: Any) -> None:
        lab.fail("b")
        answer = await lab.build("moa:aggregator=a").answer(QUESTION, seed=0)
        assert answer.trace.aggregations[0].seen == ("a", "c", "d")
        lab.fail("a")
        with pytest.raises(NoAnswerError, match="the aggregation failed: a: refused"):
            await lab.build("moa:aggregator=a").answer(QUESTION, seed=0)

    async def test_events_fit_what_was_planned(self, lab: Any) -> None:
        events: list[Event] = []
        await lab.build("moa:layers=2").answer(QUESTION, seed=0, observe=events.append)
        (planned,) = [e for e in events if isinstance(e, Planned)]
        last = {(e.stage, e.index): e.state for e in events if isinstance(e, CallUpdate)}
        assert len(planned.subsets) == 5
        assert last == {("reference", i): "done" for i in range(4)} | {("aggregation", i): "done" for i in range(5)}


class TestSelfMoA:
    async def test_samples_of_one_llm_are_aggregated_by_itself(self, lab: Any) -> None:
        lab.llms["a"].reply = lambda request, sample: "whole" if is_aggregation(request) else f"part {sample}"
        answer = await lab.build("self-moa:n=3").answer(QUESTION, seed=0)
        assert answer.text == "whole"
        assert [r.n for r in lab.asked("a")] == [3, 1]
        assert all(f"part {i}" in lab.asked("a")[1].messages[0].content for i in range(3))

    async def test_by_the_pool_s_aggregator(self, lab: Any) -> None:
        await lab.build("self-moa:n=3:aggregated_by=aggregator:aggregator=d").answer(QUESTION, seed=0)
        assert counts(lab) == {"a": 3, "b": 0, "c": 0, "d": 1}


class TestSharedReferences:
    async def test_the_same_reference_is_the_same_call_whoever_asks(self, lab: Any) -> None:
        for spec in ("smcs", "majority", "weighted", "moa", "single:llm=a", "self-consistency:n=2", "router"):
            await lab.build(spec).answer(QUESTION, seed=3)
        references = [r for r in lab.asked("a") if not is_aggregation(r)]
        assert len(references) == 7
        assert len({(r.messages, r.sampling.seed) for r in references}) == 1

    async def test_the_longest_chain_adds_what_must_wait_and_not_what_runs_side_by_side(self, lab: Any) -> None:
        answer = await lab.build("moa:layers=2").answer(QUESTION, seed=0)
        chain = answer.trace.seconds["longest chain of calls"]
        trace = answer.trace
        first = max(r.completion.seconds for r in trace.referencers if r.completion)
        second = max(a.completion.seconds for a in trace.aggregations[:4] if a.completion)
        last = trace.aggregations[4].completion
        assert last is not None
        assert chain == pytest.approx(first + second + last.seconds)
