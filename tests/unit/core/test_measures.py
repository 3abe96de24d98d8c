"""Equation 8 and the measures beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.core.measures import accuracy_with_error, oracle_aggregation_accuracy, pairwise_ranking_score


class TestPairwiseRankingScore:
    def test_by_hand(self) -> None:
        prior = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.5]])
        correct = np.array([[1, 0, 0], [1, 0, 1]])
        # First question: 2 of 2 pairs; second: neither 0.2 nor 0.5 is above 0.8.
        assert pairwise_ranking_score(prior, correct) == pytest.approx(2 / 4)

    def test_ties_are_not_won(self) -> None:
        assert pairwise_ranking_score(np.array([[0.5, 0.5]]), np.array([[1, 0]])) == 0.0

    def test_no_pair(self) -> None:
        assert np.isnan(pairwise_ranking_score(np.array([[0.5, 0.2]]), np.array([[1, 1]])))

    def test_shapes(self) -> None:
        with pytest.raises(ValueError, match="one shape"):
            pairwise_ranking_score(np.zeros((2, 3)), np.zeros((3, 2)))

    @given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
    def test_range_perfect_and_reversed(self, t: int, r: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        correct, prior = rng.integers(0, 2, (t, r)), rng.normal(size=(t, r))
        score = pairwise_ranking_score(prior, correct)
        if np.isnan(score):
            return
        assert 0 <= score <= 1
        assert pairwise_ranking_score(correct, correct) == 1.0
        assert pairwise_ranking_score(-prior, correct) == pytest.approx(1 - score)


def test_oca_and_mca() -> None:
    correct = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    assert oracle_aggregation_accuracy(correct) == pytest.approx(2 / 3)
    assert oracle_aggregation_accuracy(correct, at_least=2) == pytest.approx(1 / 3)
    assert np.isnan(oracle_aggregation_accuracy(np.empty((0, 3))))


def test_accuracy_with_error() -> None:
    accuracy, error = accuracy_with_error(np.array([1, 1, 0, 0]))
    assert accuracy == 0.5
    assert error == pytest.approx(np.sqrt(1 / 3) / 2)
    assert np.isnan(accuracy_with_error(np.array([]))[0])
    assert np.isnan(accuracy_with_error(np.array([1.0]))[1])
