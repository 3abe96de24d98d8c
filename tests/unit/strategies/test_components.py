"""SMCS with its components switched."""

from __future__ import annotations

from typing import Any

import pytest

from smcs.errors import BadRequestError
from smcs.types import Question

QUESTION = Question("question fig")


class TestPrior:
    async def test_random_referencers_still_stand_in_order_of_their_prior(self, make_lab: Any) -> None:
        lab = make_lab("abcdef", prior="random", k=3)
        chosen = set()
        for seed in range(12):
            trace = (await lab.strategy().answer(QUESTION, seed=seed)).trace
            names = [r.llm for r in trace.referencers]
            assert names == sorted(names), "a is better than b is better than c ..."
            assert [r.prior for r in trace.referencers] == [trace.prior[name] for name in names]
            chosen.add(tuple(names))
        assert len(chosen) > 3

    async def test_the_same_seed_chooses_the_same_ones(self, make_lab: Any) -> None:
        lab = make_lab("abcdef", prior="random", k=3)
        one, two = [(await lab.strategy().answer(QUESTION, seed=5)).trace.referencers for _ in range(2)]
        assert [r.llm for r in one] == [r.llm for r in two]

    async def test_global_accuracy_needs_no_retrieval(self, make_lab: Any) -> None:
        lab = make_lab(prior="global", posterior="first", n_drop=0)

        async def embed(texts: Any, kind: str) -> Any:
            raise AssertionError("nothing is to be embedded")

        lab.embedder.embed = embed
        trace = (await lab.strategy().answer(QUESTION, seed=0)).trace
        assert trace.support == ()
        assert trace.prior == pytest.approx({"a": 1, "b": 5 / 6, "c": 4 / 6, "d": 3 / 6})


class TestDrop:
    async def test_none_shows_every_reference_to_every_aggregation(self, make_lab: Any) -> None:
        lab = make_lab(drop="none", n_drop=2)
        trace = (await lab.strategy().answer(QUESTION, seed=0)).trace
        assert trace.subsets == (("a", "b", "c"),) * 4

    async def test_none_leaves_n_drop_without_a_say(self, make_lab: Any) -> None:
        assert make_lab(drop="none", k=1, n_drop=1).strategy()

    async def test_random_drops_all_alike(self, make_lab: Any) -> None:
        lab = make_lab(drop="random", n_aggregations=300, k=3)
        trace = (await lab.strategy().answer(QUESTION, seed=0)).trace
        dropped = {name: sum(name not in subset for subset in trace.subsets) for name in "abc"}
        assert trace.drop_distribution == pytest.approx((1 / 3,) * 3)
        assert all(60 < count < 140 for count in dropped.values())


class TestPosterior:
    def texts(self, lab: Any) -> None:
        # Samples 0 and 3 stand apart; the others are alike. Sample 3 surprises the aggregator least.
        said = ["zzzz qqqq", "apple pie", "apple pie!", "xxxx yyyy"]
        lab.llms["a"].reply = lambda request, sample: (
            said[sample] if "Responses from models:" in request.messages[0].content else "a reference"
        )
        lab.llms["a"].logprobs = lambda sample: (-0.1,) if sample == 3 else (-0.2,)

    @pytest.mark.parametrize(
        ("posterior", "wins"), [("similarity", {1, 2}), ("perplexity", {3}), ("first", {0}), ("both", {1, 2})]
    )
    async def test_which_aggregation_wins(self, make_lab: Any, posterior: str, wins: set[int]) -> None:
        lab = make_lab(posterior=posterior, n_drop=0, aggregator="a", k=1, ppl_weight=1.0)
        self.texts(lab)
        trace = (await lab.strategy().answer(QUESTION, seed=0)).trace
        assert trace.winner in wins

    async def test_log_probabilities_are_asked_for_only_where_they_count(self, make_lab: Any) -> None:
        for posterior, wanted in (("similarity", False), ("first", False), ("perplexity", True), ("both", True)):
            lab = make_lab(posterior=posterior, aggregator="d")
            await lab.strategy().answer(QUESTION, seed=0)
            assert lab.llms["d"].requests[-1].sampling.logprobs is wanted, posterior

    async def test_an_aggregator_without_log_probabilities_will_do_for_similarity(self, make_lab: Any) -> None:
        lab = make_lab(posterior="similarity", aggregator="a")
        lab.llms["a"]._info = lab.llms["a"]._info.__class__("a", "scripted", "a", logprobs=False)
        assert (await lab.strategy().answer(QUESTION, seed=0)).trace.aggregations[0].perplexity is None

    async def test_the_first_that_is_there_where_the_first_failed(self, make_lab: Any) -> None:
        lab = make_lab(posterior="first", aggregator="d", n_aggregations=8)
        plain = (await lab.strategy().answer(QUESTION, seed=0)).trace
        lost = plain.subsets[0]
        assert any(subset != lost for subset in plain.subsets), "the seed must draw different subsets"

        def reply(request: Any, sample: int) -> str | Exception:
            shown = request.messages[0].content
            return BadRequestError("refused") if all(f"{name} says" in shown for name in lost) else "fine"

        lab.llms["d"].reply = reply
        trace = (await lab.strategy().answer(QUESTION, seed=0)).trace
        assert trace.winner == next(i for i, subset in enumerate(trace.subsets) if subset != lost)
        assert all(a.score is None for a in trace.aggregations)
