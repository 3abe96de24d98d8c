"""Votes on worked examples, and what must hold for any."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smcs.core.prior import select_referencers
from smcs.core.voting import (
    agreement,
    effective_wrong_answers,
    log_odds,
    oracle,
    sharpened,
    split_evenly,
    top_k,
    vote_accuracy,
    winners,
)

ANSWERS = np.array(
    [
        [7, 7, 3, 3, 3],  # 3 wins with three votes
        [7, 7, 3, 3, -1],  # 7 and 3 tie
        [-1, -1, -1, -1, -1],  # nobody votes
        [1, 2, 3, 4, 5],  # all tie
    ]
)
CORRECT = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])


def test_plurality_splits_ties_evenly_over_answers() -> None:
    assert vote_accuracy(ANSWERS, CORRECT).tolist() == [0.0, 0.5, 0.0, pytest.approx(0.2)]


def test_a_tie_counts_answers_not_those_who_give_them() -> None:
    # Two say 1, one says 2, with weights that make both sums 2: half right, not two thirds.
    answers, correct = np.array([[1, 1, 2]]), np.array([[1, 1, 0]])
    assert vote_accuracy(answers, correct, np.array([1.0, 1.0, 2.0])).tolist() == [0.5]


def test_weights_decide() -> None:
    won = winners(ANSWERS, np.array([2.0, 2.0, 1.0, 1.0, 1.0]))
    assert won[0].tolist() == [True, True, False, False, False]
    assert not won[2].any()


def test_only_members_vote() -> None:
    members = np.tile([True, True, True, False, False], (4, 1))
    assert vote_accuracy(ANSWERS, CORRECT, members=members).tolist() == [1.0, 1.0, 0.0, pytest.approx(1 / 3)]


def test_without_any_weight_all_votes_count_the_same() -> None:
    answers = np.array([[1, 1, 2, 3]])
    assert winners(answers, np.array([0.0, 0.0, 0.0, 5.0]))[0].tolist() == [False, False, False, True]
    members = np.array([[True, True, True, False]])
    weighed = winners(answers, np.array([0.0, 0.0, 0.0, 5.0]), members)
    assert weighed[0].tolist() == [True, True, False, False]


def test_sums_of_the_same_weights_in_another_order_tie() -> None:
    answers = np.array([[1, 1, 1, 2, 2, 2]])
    assert winners(answers, np.array([0.1, 0.2, 0.3, 0.3, 0.2, 0.1]))[0].all()


def test_weights_must_be_finite_where_they_count() -> None:
    with pytest.raises(ValueError, match="finite"):
        winners(np.array([[1, 2]]), np.array([np.nan, 1.0]))
    assert winners(np.array([[-1, 2]]), np.array([np.nan, 1.0]))[0].tolist() == [False, True]


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="one shape"):
        winners(np.array([[1, 2]]), members=np.ones((1, 3), bool))
    with pytest.raises(ValueError, match="one shape"):
        winners(np.array([1, 2]))


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.integers(-1, 4)),
    st.data(),
)
def test_the_vote_is_the_one_counted_by_hand(answers: np.ndarray, data: st.DataObject) -> None:
    weights = data.draw(hnp.arrays(np.int64, answers.shape, elements=st.integers(1, 5)))
    gold = data.draw(hnp.arrays(np.int64, (len(answers),), elements=st.integers(0, 4)))
    correct = answers == gold[:, None]
    expected = []
    for row, w, right in zip(answers, weights, gold, strict=True):
        totals: dict[int, int] = defaultdict(int)
        for answer, weight in zip(row.tolist(), w.tolist(), strict=True):
            if answer >= 0:
                totals[answer] += weight
        best = [answer for answer, total in totals.items() if total == max(totals.values())]
        expected.append(Fraction(best.count(int(right)), len(best)) if best else 0)
    assert vote_accuracy(answers, correct, weights).tolist() == pytest.approx([float(e) for e in expected])


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.integers(-1, 3)))
def test_the_oracle_is_never_below_a_vote(answers: np.ndarray) -> None:
    correct = answers == 1
    assert (oracle(correct) >= vote_accuracy(answers, correct)).all()


def test_the_oracle_asks_members_only() -> None:
    members = np.tile([False, False, True, True, True], (4, 1))
    assert oracle(CORRECT).tolist() == [1, 1, 0, 1]
    assert oracle(CORRECT, members).tolist() == [0, 0, 0, 1]


def test_agreement_leaves_out_who_does_not_vote() -> None:
    same = agreement(np.array([[4, -1, 4, -1]]))
    assert same[0].tolist() == [
        [True, False, True, False],
        [False, False, False, False],
        [True, False, True, False],
        [False, False, False, False],
    ]


@settings(max_examples=50)
@given(st.data())
def test_top_k_selects_as_the_method_does(data: st.DataObject) -> None:
    r = data.draw(st.integers(1, 6))
    prior = data.draw(hnp.arrays(np.float64, (4, r), elements=st.sampled_from([0.0, 0.5, 1.0])))
    accuracy = data.draw(hnp.arrays(np.float64, (r,), elements=st.sampled_from([0.2, 0.4, np.nan])))
    k = data.draw(st.integers(1, r))
    members = top_k(prior, k, accuracy)
    for row, chosen in zip(prior, members, strict=True):
        assert set(np.flatnonzero(chosen)) == set(select_referencers(row, k, accuracy).tolist())


@pytest.mark.parametrize("k", [0, 3])
def test_k_must_fit_the_pool(k: int) -> None:
    with pytest.raises(ValueError, match="from 1 to the number of LLMs"):
        top_k(np.zeros((1, 2)), k)


def test_log_odds_know_the_number_of_answers() -> None:
    assert log_odds(np.array([0.5]))[0] == pytest.approx(0)
    assert log_odds(np.array([0.1]), 9)[0] == pytest.approx(0)  # guessing among ten
    assert log_odds(np.array([0.7]), 3)[0] == pytest.approx(math.log(7))
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_sharpness_goes_from_one_vote_each_to_the_strongest_alone() -> None:
    weights = np.array([[2.0, 1.0, 1.0, -1.0, 0.0]])
    assert sharpened(weights, 0)[0].tolist() == [1, 1, 1, 0, 0]
    assert sharpened(weights, 1)[0].tolist() == [1, 0.5, 0.5, 0, 0]
    assert sharpened(weights, math.inf)[0].tolist() == [1, 0, 0, 0, 0]
    assert sharpened(np.array([[-1.0, 0.0]]), 2)[0].tolist() == [0, 0]


def test_wrong_answers_that_spread_over_m_are_counted_as_m() -> None:
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 5, (20_000, 4))
    assert effective_wrong_answers(answers, answers == -5) == pytest.approx(5, rel=0.02)


def test_wrong_answers_that_always_agree_are_one() -> None:
    answers = np.array([[1, 1, 1], [2, 2, 9]])
    assert effective_wrong_answers(answers, answers == 9) == 1
    assert effective_wrong_answers(answers, np.ones((2, 3))) == 1


def test_split_evenly_of_nobody_is_zero() -> None:
    assert split_evenly(np.zeros((1, 2), bool), np.array([[1, 2]]), np.array([[1, 0]])).tolist() == [0.0]
