"""Estimators on small banks: equal to Equation 4 where they say so, and exact where a question is left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from smcs.core.estimation import (
    PRIORS,
    BankPrior,
    Prior,
    Sharing,
    best_ranking,
    estimate,
    estimate_held_out,
    main_directions,
    share_strengths,
)
from smcs.core.estimators import (
    Equation4,
    Estimator,
    GlobalAccuracy,
    KernelRidge,
    Ridge,
    Shrinkage,
    SoftmaxKernel,
)
from smcs.core.prior import cosine_similarity, prior_scores, support_set

ESTIMATORS: list[Estimator] = [
    GlobalAccuracy(),
    Equation4(n_base=5),
    SoftmaxKernel(),
    Shrinkage(),
    Ridge(penalty=2.0),
    KernelRidge(penalty=2.0),
]
by_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)


def unit(rng: np.random.Generator, n: int, d: int = 6) -> NDArray[np.float64]:
    vectors = rng.normal(size=(n, d)) + 1.0
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def bank() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(3)
    return unit(rng, 20), rng.random((4, 20)) < np.array([[0.9], [0.6], [0.5], [0.2]])


def test_equation4_is_the_methods_prior_over_the_summed_similarity(
    bank: tuple[NDArray[np.float64], NDArray[np.bool_]],
) -> None:
    embeddings, capability = bank
    questions = unit(np.random.default_rng(4), 5)
    made = estimate(Equation4(n_base=7, gamma=0.9).fit(embeddings).weights(questions), capability)
    for question, row in zip(questions, made, strict=True):
        similarity = cosine_similarity(embeddings, question)
        support = support_set(similarity, 7, 0.9)
        expected = prior_scores(capability, similarity, support) / similarity[support].sum()
        assert row == pytest.approx(expected)


@by_estimator
def test_what_is_held_out_has_no_influence_on_its_own_estimate(
    estimator: Estimator, bank: tuple[NDArray[np.float64], NDArray[np.bool_]]
) -> None:
    embeddings, capability = bank
    flipped = capability.copy()
    flipped[:, 3] = ~flipped[:, 3]
    weights = estimator.fit(embeddings).held_out()
    before, after = estimate_held_out(weights, capability), estimate_held_out(weights, flipped)
    assert after[3] == pytest.approx(before[3])
    if not isinstance(estimator, GlobalAccuracy):
        assert weights[3].sum() != 0


@pytest.mark.parametrize(
    "estimator", [e for e in ESTIMATORS if not isinstance(e, Ridge)], ids=lambda e: type(e).__name__
)
def test_held_out_estimates_are_those_of_a_bank_without_the_question(
    estimator: Estimator, bank: tuple[NDArray[np.float64], NDArray[np.bool_]]
) -> None:
    # Ridge keeps the mean of all embeddings, the held-out one included, which no label enters.
    embeddings, capability = bank
    held_out = estimate_held_out(estimator.fit(embeddings).held_out(), capability)
    for i in (0, 7):
        others = np.arange(20) != i
        weights = estimator.fit(embeddings[others]).weights(embeddings[i : i + 1])
        assert held_out[i] == pytest.approx(estimate(weights, capability[:, others])[0])


@by_estimator
def test_equal_llms_get_equal_estimates_within_what_was_seen(
    estimator: Estimator, bank: tuple[NDArray[np.float64], NDArray[np.bool_]]
) -> None:
    embeddings, capability = bank
    weights = estimator.fit(embeddings).weights(unit(np.random.default_rng(5), 3))
    always, never = np.ones((1, 20), bool), np.zeros((1, 20), bool)
    made = estimate(weights, np.concatenate([capability, always, never]))
    assert made[:, 4] == pytest.approx(1)
    assert made[:, 5] == pytest.approx(0)


def test_shrinkage_falls_back_on_overall_accuracy_where_nothing_is_alike() -> None:
    embeddings = np.eye(6)[:5]
    capability = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 1]], bool)
    stranger, neighbour = np.eye(6)[5:], np.eye(6)[4:5]
    fitted = Shrinkage(power=3, doubt=1).fit(embeddings)
    assert estimate(fitted.weights(stranger), capability)[0] == pytest.approx([0.8, 0.2])
    assert estimate(fitted.weights(neighbour), capability)[0] == pytest.approx([0.4, 0.6])  # half way to what it saw


def test_kernel_ridge_gives_overall_accuracy_where_everything_is_equally_alike() -> None:
    # A simplex: every bank question is as unlike every other, and the new one as unlike all of them.
    embeddings = np.eye(8)
    capability = np.random.default_rng(0).random((3, 8)) < 0.5
    question = np.full((1, 8), 8**-0.5)
    made = estimate(KernelRidge().fit(embeddings).weights(question), capability)
    assert made[0] == pytest.approx(capability.mean(axis=1))


def test_ridge_is_the_regression_written_out(bank: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    embeddings, capability = bank
    question = unit(np.random.default_rng(6), 1)
    mean = embeddings.mean(axis=0)
    x, y = embeddings - mean, capability.T - capability.mean(axis=1)
    coefficients = np.linalg.inv(x.T @ x + 2.0 * np.eye(6)) @ x.T @ y
    expected = capability.mean(axis=1) + (question - mean) @ coefficients
    assert estimate(Ridge(2.0).fit(embeddings).weights(question), capability) == pytest.approx(expected)


def test_what_was_not_observed_is_neither_right_nor_wrong(bank: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    embeddings, capability = bank
    observed = np.ones_like(capability)
    observed[1, 10:] = False
    weights = SoftmaxKernel().fit(embeddings).weights(unit(np.random.default_rng(7), 3))
    one, other = capability.copy(), capability.copy()
    one[1, 10:], other[1, 10:] = True, False
    assert estimate(weights, one, observed) == pytest.approx(estimate(weights, other, observed))
    held_out = Equation4(5).fit(embeddings).held_out()
    assert estimate_held_out(held_out, one, observed) == pytest.approx(estimate_held_out(held_out, other, observed))


def test_a_tiny_bank_is_no_error() -> None:
    for n in (0, 1):
        for estimator in ESTIMATORS:
            fitted = estimator.fit(np.eye(3)[:n])
            assert fitted.held_out().shape == (n, n)
            assert fitted.weights(np.eye(3)).shape == (3, n)


def test_sharing_keeps_the_mean_of_the_pool_and_the_main_directions() -> None:
    rng = np.random.default_rng(8)
    skill = rng.normal(size=(50, 1)) @ np.array([[1.0, 1.0, -1.0, -1.0]])
    held_out = 0.5 + 0.1 * skill + 0.01 * rng.normal(size=(50, 4))
    directions = main_directions(held_out, 1)
    assert np.abs(directions[:, 0]) == pytest.approx(np.full(4, 0.5), abs=0.02)
    shared = share_strengths(held_out, np.full(4, 0.5), directions, 0.0)
    assert shared.mean(axis=1) == pytest.approx(held_out.mean(axis=1))
    assert np.linalg.matrix_rank(shared - shared.mean(axis=1, keepdims=True), tol=1e-9) == 1
    assert share_strengths(held_out, np.full(4, 0.5), directions, 1.0) == pytest.approx(held_out)


def test_the_settings_that_rank_the_bank_best_are_chosen() -> None:
    # Two kinds of question, each with an LLM that is always right: only a local estimate can know.
    embeddings = np.repeat(np.eye(2), 10, axis=0)
    capability = np.array([[1] * 10 + [0] * 10, [0] * 10 + [1] * 10], bool)
    chosen = BankPrior([Prior(GlobalAccuracy()), Prior(Shrinkage())], embeddings, capability)
    assert chosen.prior == Prior(Shrinkage())
    assert chosen.estimate(np.eye(2)).argmax(axis=1).tolist() == [0, 1]
    assert chosen.held_out.shape == (20, 2)


def test_the_first_of_equals_is_chosen_and_nothing_to_rank_is_no_error() -> None:
    held_out = np.zeros((3, 2))
    assert best_ranking([held_out, held_out], np.array([[1, 1, 0], [0, 1, 1]])) == 0
    assert best_ranking([held_out, held_out], np.ones((2, 3))) == 0


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_works_on_a_bank(name: str, bank: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    embeddings, capability = bank
    prior = BankPrior(PRIORS[name], embeddings.astype(np.float32), capability)
    made = prior.estimate(unit(np.random.default_rng(9), 3).astype(np.float32))
    assert made.shape == (3, 4)
    assert np.isfinite(made).all()
    assert dataclasses.is_dataclass(prior.prior.estimator)


def test_sharing_of_a_small_pool(bank: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    embeddings, capability = bank
    prior = BankPrior([Prior(KernelRidge(), Sharing(directions=5))], embeddings, capability[:1])
    assert prior.estimate(embeddings).shape == (20, 1)
