"""Equations 2-5: values worked by hand, edge cases, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smcs.core.prior import (
    cosine_similarity,
    prior_fallbacks,
    prior_scores,
    select_referencers,
    support_set,
    whole_bank_accuracy,
)

unit = st.floats(0, 1, allow_nan=False)
similarities = hnp.arrays(np.float64, st.integers(1, 40), elements=unit)


class TestCosineSimilarity:
    def test_by_hand(self) -> None:
        bank = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
        assert cosine_similarity(bank, np.array([2.0, 0.0])) == pytest.approx([1.0, np.sqrt(0.5), 0.0])

    def test_negative_cosine_counts_as_zero(self) -> None:
        assert cosine_similarity(np.array([[-1.0, 0.0]]), np.array([1.0, 0.0])) == pytest.approx([0.0])

    def test_zero_row_and_zero_question_are_similar_to_nothing(self) -> None:
        assert cosine_similarity(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([1.0, 0.0])) == pytest.approx([0.0, 1.0])
        assert cosine_similarity(np.eye(2), np.zeros(2)) == pytest.approx([0.0, 0.0])

    def test_integer_embeddings_are_not_truncated(self) -> None:
        assert cosine_similarity(np.array([[1, 1]]), np.array([0.5, 0.5])) == pytest.approx([1.0])

    @pytest.mark.parametrize(("bank", "question"), [((3,), (3,)), ((2, 3), (2,)), ((2, 3), (1, 3))])
    def test_shapes_that_do_not_fit(self, bank: tuple[int, ...], question: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="do not fit"):
            cosine_similarity(np.zeros(bank), np.zeros(question))

    @given(st.integers(0, 20), st.integers(1, 8), st.integers(0, 2**32 - 1))
    def test_range_and_scale_invariance(self, n: int, d: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        bank, question = rng.normal(size=(n, d)), rng.normal(size=d)
        s = cosine_similarity(bank, question)
        assert s.shape == (n,)
        assert ((s >= 0) & (s <= 1)).all()
        assert cosine_similarity(3.0 * bank, 0.5 * question) == pytest.approx(s, abs=1e-12)


class TestSupportSet:
    def test_by_hand(self) -> None:
        # The 2nd largest is 0.8, so all from 0.9 * 0.8 = 0.72 on are in.
        assert support_set(np.array([0.1, 0.8, 0.73, 1.0, 0.71]), 2, 0.9).tolist() == [1, 2, 3]

    def test_ties_at_the_threshold_stay_in(self) -> None:
        assert support_set(np.array([0.5, 0.5, 0.5, 0.4]), 1, 1.0).tolist() == [0, 1, 2]

    def test_fewer_questions_than_n_base(self) -> None:
        assert support_set(np.array([0.3, 0.1]), 400, 0.95).tolist() == [0, 1]

    def test_empty_bank(self) -> None:
        assert support_set(np.array([]), 5, 0.9).size == 0

    def test_nothing_similar_is_the_whole_bank(self) -> None:
        assert support_set(np.zeros(4), 2, 0.95).size == 4

    @pytest.mark.parametrize(("n_base", "gamma"), [(0, 0.9), (1, 0.0), (1, 1.1)])
    def test_out_of_range(self, n_base: int, gamma: float) -> None:
        with pytest.raises(ValueError, match="n_base"):
            support_set(np.ones(3), n_base, gamma)

    @given(similarities, st.integers(1, 50), st.floats(0.01, 1))
    def test_is_the_set_of_the_definition(self, s: np.ndarray, n_base: int, gamma: float) -> None:
        members = support_set(s, n_base, gamma)
        k = min(n_base, s.size)
        assert members.tolist() == [i for i in range(s.size) if s[i] >= gamma * sorted(s)[-k]]
        assert members.size >= k


class TestPriorScores:
    def test_by_hand(self) -> None:
        capability = np.array([[1, 0, 1], [0, 1, 1]])
        similarity = np.array([0.5, 0.25, 1.0])
        assert prior_scores(capability, similarity, np.array([0, 1])) == pytest.approx([0.5, 0.25])

    def test_unobserved_cells_are_rescaled_and_not_wrong(self) -> None:
        observed = np.array([[True, False, True]])
        # Right on 0.5 of an observed 1.5; the whole support set weighs 1.75.
        prior = prior_scores(np.array([[1, 1, 0]]), np.array([0.5, 0.25, 1.0]), np.arange(3), observed)
        assert prior == pytest.approx([0.5 * 1.75 / 1.5])

    def test_nothing_observed_on_the_support_set_falls_back_to_bank_accuracy(self) -> None:
        capability = np.array([[1, 1, 0, 1], [1, 0, 0, 0]])
        observed = np.array([[False, True, True, True], [True, True, True, True]])
        similarity = np.array([0.8, 0.1, 0.1, 0.1])
        support = np.array([0])
        assert prior_scores(capability, similarity, support, observed) == pytest.approx([0.8 * 2 / 3, 0.8])
        assert prior_fallbacks(similarity, support, observed) == ["bank accuracy", None]

    def test_nothing_observed_at_all_falls_back_to_the_pool_mean(self) -> None:
        capability = np.array([[1, 1], [1, 0], [0, 0]])
        observed = np.array([[True, True], [True, True], [False, False]])
        similarity = np.array([1.0, 1.0])
        assert prior_scores(capability, similarity, np.arange(2), observed)[2] == pytest.approx(2 * 0.75)
        assert prior_fallbacks(similarity, np.arange(2), observed) == [None, None, "pool mean"]

    def test_empty_bank(self) -> None:
        empty = np.zeros((2, 0))
        assert prior_scores(empty, np.zeros(0), np.zeros(0, dtype=int)).tolist() == [0.0, 0.0]

    def test_shapes_that_do_not_fit(self) -> None:
        with pytest.raises(ValueError, match="one shape"):
            prior_scores(np.zeros((2, 3)), np.zeros(3), np.arange(3), np.ones((2, 2), dtype=bool))

    @given(st.integers(1, 6), similarities, st.integers(0, 2**32 - 1))
    def test_all_observed_is_the_printed_sum(self, r: int, s: np.ndarray, seed: int) -> None:
        capability = np.random.default_rng(seed).integers(0, 2, size=(r, s.size))
        support = support_set(s, 5, 0.9)
        expected = [sum(capability[i, j] * s[j] for j in support) for i in range(r)]
        assert prior_scores(capability, s, support) == pytest.approx(expected)
        everything = np.ones_like(capability, dtype=bool)
        assert (prior_scores(capability, s, support, everything) == prior_scores(capability, s, support)).all()

    @given(similarities, st.integers(0, 2**32 - 1))
    def test_between_none_right_and_all_right(self, s: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        capability, observed = rng.integers(0, 2, (3, s.size)), rng.random((3, s.size)) < 0.5
        support = support_set(s, 4, 0.8)
        prior = prior_scores(capability, s, support, observed)
        assert (prior >= 0).all()
        assert (prior <= s[support].sum() * (1 + 1e-12)).all()

    @given(similarities, st.integers(0, 2**32 - 1))
    def test_what_is_not_observed_does_not_matter(self, s: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        observed = rng.random((3, s.size)) < 0.6
        one, other = rng.integers(0, 2, (2, 3, s.size))
        other = np.where(observed, one, other)
        support = support_set(s, 4, 0.8)
        assert (prior_scores(one, s, support, observed) == prior_scores(other, s, support, observed)).all()

    @given(similarities, st.integers(0, 2**32 - 1))
    def test_equal_llms_tie_exactly(self, s: np.ndarray, seed: int) -> None:
        row = np.random.default_rng(seed).integers(0, 2, size=s.size)
        prior = prior_scores(np.tile(row, (7, 1)), s, support_set(s, 5, 0.9))
        assert np.unique(prior).size == 1


class TestSelectReferencers:
    def test_best_first(self) -> None:
        assert select_referencers(np.array([0.1, 0.9, 0.5]), 2).tolist() == [1, 2]

    def test_ties_break_by_accuracy_then_by_pool_order(self) -> None:
        prior = np.array([0.5, 0.5, 0.5, 0.7])
        accuracy = np.array([0.2, 0.6, 0.6, 0.0])
        assert select_referencers(prior, 4, accuracy).tolist() == [3, 1, 2, 0]
        assert select_referencers(prior, 4).tolist() == [3, 0, 1, 2]

    def test_unknown_accuracy_is_last_among_ties(self) -> None:
        assert select_referencers(np.zeros(2), 2, np.array([np.nan, 0.0])).tolist() == [1, 0]

    @pytest.mark.parametrize("k", [0, 4])
    def test_k_out_of_range(self, k: int) -> None:
        with pytest.raises(ValueError, match=f"k = {k}"):
            select_referencers(np.zeros(3), k)

    @given(hnp.arrays(np.float64, st.integers(1, 20), elements=unit), st.data())
    def test_no_llm_left_out_is_better(self, prior: np.ndarray, data: st.DataObject) -> None:
        k = data.draw(st.integers(1, prior.size))
        chosen = select_referencers(prior, k)
        assert len(set(chosen.tolist())) == k
        assert (np.diff(prior[chosen]) <= 0).all()
        assert np.delete(prior, chosen).max(initial=-1) <= prior[chosen].min()


def test_accuracy_counts_only_what_was_observed() -> None:
    capability = np.array([[1, 1, 0], [0, 0, 0]])
    observed = np.array([[True, False, True], [False, False, False]])
    accuracy = whole_bank_accuracy(capability, observed)
    assert accuracy[0] == 0.5
    assert np.isnan(accuracy[1])
    assert whole_bank_accuracy(capability, observed, fill="mean").tolist() == [0.5, 0.5]
    assert whole_bank_accuracy(capability, np.zeros_like(observed), fill="mean").tolist() == [0.0, 0.0]
