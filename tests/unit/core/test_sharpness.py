"""Sharpness of votes, chosen where the bank says which is best."""

from __future__ import annotations

import math

import numpy as np

from smcs.core.sharpness import SHARPNESS, local_sharpness, votes_by_sharpness

# One strong LLM against two weak ones who agree.
ANSWERS = np.array([[1, 2, 2], [1, 2, 2]])
STRONG_IS_RIGHT = np.array([[1, 0, 0], [1, 0, 0]])
STRENGTHS = np.array([[2.0, 1.2, 1.2], [2.0, 1.2, 1.2]])


def test_the_strongest_wins_when_votes_are_sharp_enough() -> None:
    votes = votes_by_sharpness(STRENGTHS, ANSWERS, STRONG_IS_RIGHT, grid=(0.0, 1.0, 2.0, math.inf))
    assert votes[0].tolist() == [0, 0, 1, 1]


def test_the_strongest_of_those_who_vote_decides() -> None:
    answers = np.array([[-1, 2, 3]])
    votes = votes_by_sharpness(np.array([[2.0, 1.3, 1.2]]), answers, np.array([[0, 1, 0]]), grid=(math.inf,))
    assert votes.tolist() == [[1.0]]
    members = np.array([[False, True, True]])
    answers = np.array([[9, 2, 3]])
    votes = votes_by_sharpness(np.array([[2.0, 1.3, 1.2]]), answers, np.array([[0, 1, 0]]), members, (math.inf,))
    assert votes.tolist() == [[1.0]]


def test_each_question_gets_what_is_best_on_its_support_set() -> None:
    bank_votes = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    weights = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 0]])
    # Without a support set, and where it leaves a tie, the whole bank decides.
    assert local_sharpness(weights, bank_votes).tolist() == [0, 1, 1, 1]


def test_the_grid_goes_from_one_vote_each_to_the_strongest_alone() -> None:
    assert SHARPNESS[0] == 0
    assert SHARPNESS[-1] == math.inf
    assert list(SHARPNESS) == sorted(SHARPNESS)
