"""Adaptive effort: which calls are left out, and that the others are those that would have been made anyway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.strategies.conftest import Lab, is_aggregation

from smcs.config import PRESETS, SMCSSettings
from smcs.errors import BadRequestError, ConfigError
from smcs.system import System
from smcs.types import Question

QUESTION = Question("question fig", id="q", grader="exact", answer="SECRET", options=None)


@pytest.fixture
def adaptive(make_lab: type[Lab]) -> Lab:
    return make_lab(adaptive=True, aggregator="d", tolerance=0.05)


def kinds(answer: Any) -> list[str]:
    return ["done" if a.completion else a.failure.kind for a in answer.trace.aggregations]


def test_the_papers_preset_has_none() -> None:
    assert not SMCSSettings(**PRESETS["paper"]).adaptive


def test_half_of_the_references_are_no_agreement() -> None:
    with pytest.raises(ConfigError, match=r"above 0\.5"):
        System.variant(make_system(), settings={"skip_agreeing": 0.5})


def make_system() -> System:
    lab = Lab()
    return System(lab.pool(), lab.bank(), lab.embedder, SMCSSettings(**lab.settings))


class TestSkipping:
    async def test_references_that_agree_are_not_aggregated(self, adaptive: Lab) -> None:
        adaptive.answers(a="So the answer is 7.", b="The answer is 7.", c="It follows: the answer is 7.")
        answer = await adaptive.strategy().answer(QUESTION, seed=0)
        assert answer.text == "So the answer is 7."
        assert answer.usage.calls == 3
        assert kinds(answer) == ["not_needed"] * 4
        assert answer.trace.winner is None
        assert answer.trace.cuts == ("no aggregation: 3 of 3 references state '7'",)
        assert not adaptive.asked("d")

    async def test_references_that_disagree_are(self, adaptive: Lab) -> None:
        adaptive.answers(a="The answer is 7.", b="The answer is 7.", c="The answer is 8.")
        answer = await adaptive.strategy().answer(QUESTION, seed=0)
        assert answer.trace.winner is not None
        assert all(is_aggregation(request) for request in adaptive.asked("d"))

    async def test_one_that_failed_agrees_with_none(self, adaptive: Lab) -> None:
        adaptive.answers(a="The answer is 7.", b="The answer is 7.")
        adaptive.llms["c"].reply = lambda request, sample: BadRequestError("refused")
        assert (await adaptive.strategy().answer(QUESTION, seed=0)).trace.winner is not None

    async def test_prose_is_no_answer_to_agree_on(self, adaptive: Lab) -> None:
        prose = "Dear reader, this is a long letter about many things that matter to nobody but its author"
        adaptive.answers(a=prose, b=prose, c=prose)
        assert (await adaptive.strategy().answer(Question("question fig"), seed=0)).trace.winner is not None

    async def test_enough_that_agree_do_not_wait_for_the_others(self, make_lab: type[Lab]) -> None:
        lab = make_lab(adaptive=True, aggregator="d", skip_agreeing=0.6)
        lab.answers(a="The answer is 7.", c="The answer is 7.")
        lab.llms["b"].released.clear()
        answer = await asyncio.wait_for(lab.strategy().answer(QUESTION, seed=0), 20)
        assert answer.text == "The answer is 7."
        assert lab.llms["b"].cancelled
        assert [r.failure.kind if r.failure else "done" for r in answer.trace.referencers] == [
            "done",
            "not_needed",
            "done",
        ]

    async def test_it_can_be_switched_off_alone(self, make_lab: type[Lab]) -> None:
        lab = make_lab(adaptive=True, aggregator="d", skip_agreeing=0)
        lab.answers(a="The answer is 7.", b="The answer is 7.", c="The answer is 7.")
        assert (await lab.strategy().answer(QUESTION, seed=0)).trace.winner is not None


class TestStopping:
    async def test_alike_aggregations_make_the_others_needless(self, make_lab: type[Lab]) -> None:
        lab = make_lab("abcdefgh", k=7, adaptive=True, aggregator="h", n_aggregations=8, tolerance=0.1)
        lab.llms["h"].reply = lambda request, sample: "all the same"
        answer = await lab.strategy().answer(QUESTION, seed=3)
        assert kinds(answer).count("not_needed") > 0
        assert kinds(answer).count("done") > 4
        (cut,) = answer.trace.cuts
        assert f"{kinds(answer).count('not_needed')} of 8 aggregations" in cut

    async def test_those_that_are_made_are_the_same_as_without(self, make_lab: type[Lab]) -> None:
        texts = {}
        for on in (False, True):
            lab = make_lab("abcdefgh", k=7, adaptive=on, aggregator="h", n_aggregations=8, tolerance=0.1)
            lab.llms["h"].reply = lambda request, sample: f"all the same {request.sampling.seed} {sample}"[:-9]
            answer = await lab.strategy().answer(QUESTION, seed=3)
            texts[on] = {i: a.completion.text for i, a in enumerate(answer.trace.aggregations) if a.completion}
        assert len(texts[True]) < len(texts[False])
        assert texts[True].items() <= texts[False].items()

    async def test_aggregations_that_differ_are_all_made(self, make_lab: type[Lab]) -> None:
        lab = make_lab("abcdefgh", k=7, adaptive=True, aggregator="h", n_aggregations=8, tolerance=0.05)
        words = iter(["aaa bbb", "ccc", "ddd", "eee", "fff", "ggg", "hhh", "iii"])
        lab.llms["h"].reply = lambda request, sample: next(words)
        answer = await lab.strategy().answer(QUESTION, seed=3)
        assert kinds(answer) == ["done"] * 8
        assert answer.trace.cuts == ()

    async def test_without_a_tolerance_all_are_asked_for_at_once(self, make_lab: type[Lab]) -> None:
        lab = make_lab("abcdefgh", k=7, adaptive=True, aggregator="h", n_aggregations=8, tolerance=0)
        lab.llms["h"].reply = lambda request, sample: "all the same"
        assert kinds(await lab.strategy().answer(QUESTION, seed=3)) == ["done"] * 8
