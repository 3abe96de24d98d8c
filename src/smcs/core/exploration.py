"""Exploration: which references each aggregation sees [Equation 6]. Symbols: K referencers, n aggregations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.core.prior import FloatArray, IntArray


def drop_distribution(selected_prior: NDArray[Any]) -> FloatArray:
    """Distribution that the kept references are drawn from: softmax of the standardised priors [Equation 6].

    The larger an LLM's prior, the likelier its reference is kept.

    Args:
        selected_prior: array of shape (K,), the priors of the K referencers.

    Returns:
        Array of shape (K,) that sums to 1; uniform where all priors are equal.

    Raises:
        ValueError: no prior, or one that is not finite.
    """
    v = np.asarray(selected_prior, dtype=np.float64)
    if v.ndim != 1 or v.size == 0 or not np.isfinite(v).all():
        raise ValueError(f"expected K >= 1 finite priors, got an array of shape {v.shape}: {v}")
    # Scaling first keeps the deviation representable for priors of any size; z does not change.
    centred = v - v.mean()
    largest = np.abs(centred).max()
    if largest <= 1e-12 * np.abs(v).max():
        return np.full(v.size, 1.0 / v.size)
    z = centred / largest
    z /= np.sqrt(np.mean(z**2))  # population standard deviation
    weights = np.exp(z - z.max())
    return np.asarray(weights / weights.sum())


def sample_subsets(distribution: NDArray[Any], n_subsets: int, n_drop: int, rng: np.random.Generator) -> IntArray:
    """Draw the subsets of references, each without replacement, renormalising after every draw.

    The K - n_drop largest of ``log p + Gumbel noise`` are exactly such a draw (Gumbel-top-k: Vieira 2014; Kool et al.
    2019), in one step for all subsets. Repeats among subsets are allowed.

    Args:
        distribution: array of shape (K,), positive or zero.
        n_subsets: n.
        n_drop: references dropped from each, from 0 to K - 1.
        rng: the only source of randomness.

    Returns:
        Positions of shape (n_subsets, K - n_drop), ascending in each row: with referencers in descending prior, so are
        the references of each subset.

    Raises:
        ValueError: n_subsets or n_drop out of range, or fewer than K - n_drop positive probabilities.
    """
    p = np.asarray(distribution, dtype=np.float64)
    keep = p.size - n_drop
    if n_subsets < 0 or n_drop < 0 or keep < 1:
        raise ValueError(f"cannot draw {n_subsets} subsets that drop {n_drop} of {p.size} references")
    if not np.isfinite(p).all() or (p < 0).any() or np.count_nonzero(p) < keep:
        raise ValueError(f"distribution must be finite, not negative, and positive in at least {keep} places: {p}")
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    keys = log_p + rng.gumbel(size=(n_subsets, p.size))
    kept = np.argsort(-keys, axis=1, kind="stable")[:, :keep]
    return np.sort(kept, axis=1)
