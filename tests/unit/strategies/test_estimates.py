"""Estimators other than Equation 4, and tuned votes, where they answer live questions."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from tests.unit.strategies.conftest import Lab

from smcs.config import PRESETS, SMCSSettings, method_settings
from smcs.core.estimation import PRIORS, BankPrior
from smcs.errors import ConfigError
from smcs.strategies import _estimates
from smcs.types import Question

QUESTION = Question("question bananas")


def test_every_prior_but_the_global_one_is_an_estimator() -> None:
    named = get_args(SMCSSettings.model_fields["estimator"].annotation)
    assert set(named) == set(PRIORS) - {"global"}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_presets_take_the_papers(preset: str) -> None:
    assert method_settings(preset).estimator == "equation4"


@pytest.mark.parametrize("name", sorted(set(PRIORS) - {"global", "equation4"}))
async def test_the_prior_is_the_estimated_accuracy(name: str) -> None:
    lab = Lab(estimator=name)
    bank = lab.bank()
    fitted = BankPrior(PRIORS[name], bank.embeddings, bank.capability, bank.observed)
    embedded = await lab.embedder.embed([QUESTION.text], "query")
    trace = (await lab.strategy().answer(QUESTION, seed=0)).trace
    expected = np.clip(fitted.estimate(embedded)[0], 0, 1)
    assert [trace.prior[llm] for llm in bank.llms] == pytest.approx(expected.tolist())
    assert trace.support  # similar questions are looked up all the same


async def test_an_estimator_may_hold_for_one_strategy_alone() -> None:
    lab = Lab()
    plain = (await lab.build("retrieval-top1").answer(QUESTION, seed=0)).trace.prior
    estimated = (await lab.build("retrieval-top1:estimator=ridge").answer(QUESTION, seed=0)).trace.prior
    assert max(plain.values()) > 1  # a sum of similarities
    assert max(estimated.values()) <= 1


@pytest.mark.parametrize("strategy", ["smcs", "weighted:sharpness=tuned:estimator=ridge"])
def test_a_bank_too_large_is_refused(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_estimates, "_MOST_QUESTIONS", 5)
    with pytest.raises(ConfigError, match=r"up to 5 questions.*has 6.*equation4"):
        Lab(estimator="ridge").build(strategy)


class TestTunedVotes:
    @staticmethod
    def lab(right: dict[str, list[int]]) -> Lab:
        lab = Lab("".join(right), k=len(right))
        bank = lab.bank()
        capability = np.array(list(right.values()), dtype=np.uint8)
        lab.bank = lambda: type(bank)(  # type: ignore[method-assign]
            bank.questions, bank.embeddings, bank.embedder, bank.llms, capability, bank.observed
        )
        lab.answers(**{name: f"The answer is {1 if name == 'a' else 2}." for name in right})
        return lab

    async def test_where_the_others_err_together_the_strongest_decides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_estimates, "_WRONG_ANSWERS", 1)
        lab = self.lab(
            {"a": [1, 1, 1, 1, 1, 0], "b": [1, 1, 0, 0, 0, 1], "c": [1, 1, 0, 0, 0, 1], "d": [1, 1, 0, 0, 0, 1]},
        )
        asked = Question("question of everything")
        plain = await lab.build("weighted:sharpness=0.5").answer(asked, seed=0)
        tuned = await lab.build("weighted:sharpness=tuned").answer(asked, seed=0)
        assert (plain.text, tuned.text) == ("The answer is 2.", "The answer is 1.")
        assert any("do best on the support set" in note for note in tuned.trace.notes)

    async def test_where_errors_are_spread_the_many_decide(self) -> None:
        lab = self.lab(
            {"a": [1, 1, 1, 1, 0, 0], "b": [1, 1, 1, 0, 1, 0], "c": [1, 1, 0, 1, 1, 1], "d": [0, 0, 1, 1, 1, 1]}
        )
        tuned = await lab.build("weighted:sharpness=tuned").answer(Question("question of everything"), seed=0)
        assert tuned.text == "The answer is 2."
