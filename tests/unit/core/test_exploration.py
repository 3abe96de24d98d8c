"""Equation 6: the drop distribution and the subsets drawn from it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smcs.core.exploration import drop_distribution, sample_subsets

priors = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-1e6, 1e6))


class TestDropDistribution:
    def test_by_hand(self) -> None:
        # Mean 2, population standard deviation sqrt(2/3).
        z = np.array([1.0, 0.0, -1.0]) / np.sqrt(2 / 3)
        assert drop_distribution(np.array([3.0, 2.0, 1.0])) == pytest.approx(np.exp(z) / np.exp(z).sum())

    @pytest.mark.parametrize("value", [0.0, 0.1, 7.0, 1e-300, 1e300])
    def test_equal_priors_are_uniform(self, value: float) -> None:
        assert drop_distribution(np.full(3, value)) == pytest.approx([1 / 3] * 3)

    def test_one_referencer(self) -> None:
        assert drop_distribution(np.array([4.2])).tolist() == [1.0]

    @pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [np.inf, 1.0]])
    def test_not_finite_or_nothing(self, bad: list[float]) -> None:
        with pytest.raises(ValueError, match="finite"):
            drop_distribution(np.array(bad))

    @given(priors)
    def test_a_distribution_in_the_order_of_the_priors(self, v: np.ndarray) -> None:
        d = drop_distribution(v)
        assert d.sum() == pytest.approx(1.0)
        assert (d > 0).all()
        assert (np.diff(d[np.argsort(v)]) >= -1e-12).all()

    @given(hnp.arrays(np.float64, st.integers(2, 8), elements=st.floats(0, 100)), st.floats(0.1, 10), st.floats(0, 10))
    def test_only_relative_size_matters(self, v: np.ndarray, scale: float, shift: float) -> None:
        if v.std() > 1e-3:
            assert drop_distribution(scale * v + shift) == pytest.approx(drop_distribution(v), abs=1e-9)


def draw_one_by_one(p: np.ndarray, keep: int, rng: np.random.Generator) -> tuple[int, ...]:
    """The definition: draw without replacement, renormalising after each."""
    left, kept = p.astype(float).copy(), []
    for _ in range(keep):
        i = int(rng.choice(p.size, p=left / left.sum()))
        kept.append(i)
        left[i] = 0.0
    return tuple(sorted(kept))


def probability(subset: tuple[int, ...], p: np.ndarray) -> float:
    """Chance of this set under drawing without replacement: summed over the orders it can be drawn in."""
    total = 0.0
    for order in itertools.permutations(subset):
        chance, left = 1.0, 1.0
        for i in order:
            chance *= p[i] / left
            left -= p[i]
        total += chance
    return total


class TestSampleSubsets:
    @pytest.mark.parametrize("n_drop", [1, 2, 3])
    def test_draws_from_the_distribution_of_the_definition(self, n_drop: int) -> None:
        p = np.array([0.45, 0.25, 0.15, 0.1, 0.05])
        n = 40_000
        rng = np.random.default_rng(0)
        drawn = [tuple(row) for row in sample_subsets(p, n, n_drop, rng).tolist()]
        one_by_one = [draw_one_by_one(p, p.size - n_drop, rng) for _ in range(5_000)]
        for subset in itertools.combinations(range(p.size), p.size - n_drop):
            expected = probability(subset, p)
            error = np.sqrt(expected * (1 - expected))
            assert drawn.count(subset) / n == pytest.approx(expected, abs=5 * error / np.sqrt(n))
            assert one_by_one.count(subset) / 5_000 == pytest.approx(expected, abs=5 * error / np.sqrt(5_000))

    def test_n_drop_0_keeps_all(self) -> None:
        assert sample_subsets(np.array([0.5, 0.3, 0.2]), 2, 0, np.random.default_rng(0)).tolist() == [[0, 1, 2]] * 2

    def test_repeats_are_allowed(self) -> None:
        subsets = sample_subsets(np.full(7, 1 / 7), 8, 1, np.random.default_rng(0))
        assert subsets.shape == (8, 6)
        assert len({tuple(s) for s in subsets.tolist()}) <= 7

    def test_the_weakest_is_dropped_most(self) -> None:
        p = drop_distribution(np.array([5.0, 3.0, 1.0]))
        subsets = sample_subsets(p, 2_000, 1, np.random.default_rng(3))
        dropped = np.array([(subsets != i).all(axis=1).mean() for i in range(3)])
        assert dropped[0] < dropped[1] < dropped[2]

    def test_an_impossible_reference_is_never_kept(self) -> None:
        subsets = sample_subsets(np.array([0.5, 0.0, 0.5]), 50, 1, np.random.default_rng(0))
        assert (subsets == [0, 2]).all()

    @pytest.mark.parametrize(
        ("distribution", "n_subsets", "n_drop"),
        [
            ([0.5, 0.5], 1, 2),
            ([0.5, 0.5], 1, -1),
            ([0.5, 0.5], -1, 0),
            ([1.0, 0.0], 1, 0),
            ([np.nan, 1.0], 1, 1),
            ([], 1, 0),
        ],
    )
    def test_out_of_range(self, distribution: list[float], n_subsets: int, n_drop: int) -> None:
        with pytest.raises(ValueError, match=r"cannot draw|distribution"):
            sample_subsets(np.array(distribution), n_subsets, n_drop, np.random.default_rng(0))

    @given(priors, st.integers(0, 10), st.integers(0, 2**32 - 1), st.data())
    def test_rows_are_subsets_and_the_seed_decides(self, v: np.ndarray, n: int, seed: int, data: st.DataObject) -> None:
        n_drop = data.draw(st.integers(0, v.size - 1))
        p = drop_distribution(v)
        subsets = sample_subsets(p, n, n_drop, np.random.default_rng(seed))
        assert subsets.shape == (n, v.size - n_drop)
        assert (np.diff(subsets, axis=1) > 0).all()
        assert (subsets == sample_subsets(p, n, n_drop, np.random.default_rng(seed))).all()
