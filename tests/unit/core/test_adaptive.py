"""When further aggregations cannot change the answer: the bound holds, is reached, and says what it should."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from smcs.core.adaptive import agreement, agreement_possible, most_gain, waves
from smcs.core.exploitation import mean_pairwise_similarity, posterior_scores, winner

ALIKE = np.array([[1.0, 0.0, 0.0]] * 5)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def gained(
    at_hand: NDArray[np.float64], further: NDArray[np.float64], ppl: NDArray[np.float64], weight: float, same: float
) -> float:
    """By how much the winner of all beats that of those at hand, if it says something else."""
    m, every = len(at_hand), np.vstack([at_hand, further])
    first = winner(posterior_scores(mean_pairwise_similarity(at_hand), ppl[:m], weight), ppl[:m])
    scores = posterior_scores(mean_pairwise_similarity(every), ppl, weight)
    other = unit(every) @ unit(every)[first] < same
    return float((scores[other] - scores[first]).max(initial=0.0))


vectors = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(-1, 1))


@given(vectors, vectors, st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.5, 0.9, 1.0]))
def test_no_further_aggregations_gain_more_than_the_bound(
    at_hand: NDArray[np.float64], further: NDArray[np.float64], seed: int, weight: float, same: float
) -> None:
    at_hand, further = at_hand + np.array([0, 0, 0, 1.5]), further + np.array([0, 0, 1.5, 0])  # no row of zeros
    m, n = len(at_hand), len(at_hand) + len(further)
    ppl = 1 + np.random.default_rng(seed).exponential(0.5, n)
    bound = most_gain(at_hand, n, ppl[:m], weight, same=same)
    assert gained(at_hand, further, ppl, weight, same) <= bound + 1e-9
    least = most_gain(at_hand, n, ppl[:m], weight, same=same, least_perplexity=float(ppl[m:].min()))
    assert gained(at_hand, further, ppl, weight, same) <= least + 1e-9
    assert least <= bound


@given(st.integers(1, 7), st.integers(1, 7), st.floats(0.05, 1.5))
def test_for_one_further_aggregation_the_bound_is_reached(m: int, seed: int, angle: float) -> None:
    """m alike and one that is to come: the worst is on the edge of what counts as something else."""
    at_hand = np.tile([1.0, 0.0], (m, 1))
    further = np.array([[np.cos(angle), np.sin(angle)]])
    bound = most_gain(at_hand, m + 1, same=float(np.cos(angle)))
    # Of n = m + 1: the new one's similarity is (m c + 1) / n, that of the others (m + c) / n.
    expected = max(0.0, (m * np.cos(angle) + 1 - m - np.cos(angle)) / (m + 1))
    assert bound == pytest.approx(expected, abs=1e-5)
    assert gained(at_hand, further, np.ones(m + 1), 0.0, 1.0) <= bound + 1e-5


def test_a_worked_example() -> None:
    """Five alike of six: a sixth at right angles has 1/6, they have 5/6; it cannot win. Nor can one that is near."""
    assert most_gain(ALIKE, 6, same=0.99) == pytest.approx(0.0, abs=1e-6)
    # Five alike of ten: five new ones that are alike, at right angles, would tie; a little nearer, they would not win
    # by being alike alone, but each new one may have the other four on its side.
    assert most_gain(ALIKE, 10, same=0.5) == pytest.approx((-4 * 0.5 + 8 * 0.5) / 10, abs=1e-4)


def test_two_that_disagree_leave_everything_open() -> None:
    assert most_gain(np.eye(2), 3, same=0.9) > 0.3


def test_with_all_at_hand_only_those_can_win_that_are_there() -> None:
    embeddings = unit(np.array([[1.0, 0.1], [1.0, 0.0], [0.9, 0.2], [0.0, 1.0]]))
    assert most_gain(embeddings, 4) == 0.0


def test_perplexity_of_those_to_come_counts() -> None:
    ppl = np.full(5, 1.4)
    assert most_gain(ALIKE, 6, ppl, 1.0, same=0.99) == pytest.approx(0.4 - 2 / 6 * (1 - 0.99) * 2, abs=0.01)
    assert most_gain(ALIKE, 6, ppl, 1.0, same=0.99, least_perplexity=1.4) == pytest.approx(0.0, abs=1e-6)
    assert most_gain(ALIKE, 6, ppl, 1.0, "inverse", same=0.99) > 0.2


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(ValueError, match="1 <= m <= 2"):
        most_gain(ALIKE, 2)
    with pytest.raises(ValueError, match="1 <= m"):
        most_gain(np.empty((0, 3)), 2)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_waves_hold_each_aggregation_once_and_keep_equal_subsets_together(subsets: list[int]) -> None:
    made = waves(subsets)
    assert sorted(itertools.chain(*made)) == list(range(len(subsets)))
    for one, other in itertools.combinations(made, 2):
        assert not {subsets[i] for i in one} & {subsets[i] for i in other}
    assert len(made[0]) >= len(subsets) // 2 + 1 or len(made) == 1
    assert len(made) <= 3


def test_waves_of_the_papers_eight() -> None:
    assert waves([0, 1, 0, 2, 0, 1, 3, 4]) == [[0, 1, 2, 4, 5], [3], [6, 7]]
    assert waves(range(8)) == [[0, 1, 2, 3, 4], [5], [6, 7]]
    assert waves([0] * 8) == [[*range(8)]]


@pytest.mark.parametrize(
    ("answers", "missing", "needed", "found", "possible"),
    [
        ([0, 0, 0], 0, 1.0, 0, True),
        ([0, 0], 1, 1.0, None, True),
        ([0, 0, 1], 0, 1.0, None, False),
        ([0, 1, 1, 1, 1], 2, 5 / 7, None, True),
        ([0, 1, 1, 1, 1, 1], 1, 5 / 7, 1, True),
        ([0, 1, 2], 4, 5 / 7, None, True),
        ([0, 1, 2], 3, 5 / 6, None, False),
        ([-1, -1], 1, 0.6, None, False),
        ([-1, -1], 0, 0.6, None, False),
    ],
)
def test_agreement_is_known_as_soon_as_it_is_certain(
    answers: list[int], missing: int, needed: float, found: int | None, possible: bool
) -> None:
    assert agreement(np.array(answers), missing, needed) == found
    assert agreement_possible(np.array(answers), missing, needed) is possible
