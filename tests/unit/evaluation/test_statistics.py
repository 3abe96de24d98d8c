"""Standard errors and intervals on worked examples, and whether intervals hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smcs.evaluation.statistics import Estimate, accuracy, average, over_seeds, paired_difference

NAN = float("nan")


def test_a_question_counts_once_however_many_seeds() -> None:
    once = np.array([[1.0], [0.0], [1.0], [0.0]])
    assert accuracy(once) == accuracy(np.repeat(once, 5, axis=1))
    assert accuracy(once).mean == 0.5
    assert accuracy(once).error == pytest.approx(math.sqrt(1 / 12))
    assert accuracy(once).questions == 4


def test_what_is_not_graded_does_not_count() -> None:
    correct = np.array([[1.0, NAN], [NAN, NAN], [0.0, 1.0]])
    assert over_seeds(correct)[[0, 2]].tolist() == [1.0, 0.5]
    assert accuracy(correct).questions == 2
    assert math.isnan(accuracy(np.full((3, 2), NAN)).mean)


def test_the_average_is_over_benchmarks_and_not_over_questions() -> None:
    parts = {"one": Estimate(0.2, 0.03, 900), "two": Estimate(0.8, 0.04, 100)}
    whole = average(parts)
    assert (whole.mean, whole.questions) == (0.5, 1000)
    assert whole.error == pytest.approx(0.025)


class TestPairedDifference:
    def test_the_same_answers_do_not_differ(self) -> None:
        same = {"b": np.array([[1.0], [0.0], [1.0]])}
        difference = paired_difference(same, same)
        assert (difference.mean, difference.low, difference.high) == (0, 0, 0)
        assert not difference.clear

    def test_pairing_makes_a_small_difference_clear(self) -> None:
        rng = np.random.default_rng(0)
        worse = rng.integers(0, 2, (400, 1)).astype(float)
        better = worse.copy()
        better[:12] = 1.0
        difference = paired_difference({"b": better}, {"b": worse})
        assert difference.clear
        unpaired = math.hypot(accuracy(better).error, accuracy(worse).error)
        assert difference.mean < 1.96 * unpaired

    def test_only_what_both_have_answered_counts(self) -> None:
        one = {"b": np.array([[1.0, 0.0], [NAN, 0.0], [1.0, NAN]])}
        other = {"b": np.array([[0.0, NAN], [1.0, 1.0], [NAN, NAN]])}
        difference = paired_difference(one, other)
        assert difference.questions == 2
        assert difference.mean == 0.0  # +1 on the first question, -1 on the second

    def test_turned_around(self) -> None:
        rng = np.random.default_rng(1)
        one, other = ({"b": rng.integers(0, 2, (50, 2)).astype(float)} for _ in range(2))
        forth, back = paired_difference(one, other), paired_difference(other, one)
        assert forth.mean == pytest.approx(-back.mean)
        assert forth.low == pytest.approx(-back.high, abs=0.02)

    def test_no_common_question(self) -> None:
        assert math.isnan(paired_difference({"b": np.array([[NAN]])}, {"b": np.array([[1.0]])}).mean)
        assert math.isnan(paired_difference({}, {}).mean)

    def test_the_interval_holds_the_truth_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(2)
        held = 0
        for trial in range(200):
            difficulty = rng.random((80, 1))
            one = (rng.random((80, 2)) < np.clip(difficulty + 0.1, 0, 1)).astype(float)
            other = (rng.random((80, 2)) < difficulty).astype(float)
            difference = paired_difference({"b": one}, {"b": other}, resamples=400, seed=trial)
            held += difference.low <= 0.095 <= difference.high  # of uniform difficulties: 0.1 less what is clipped
        assert 180 <= held <= 198
