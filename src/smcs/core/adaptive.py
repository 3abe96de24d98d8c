"""Adaptive effort: when further aggregations cannot change the answer by much, and when references agree.

Symbols: n aggregations are planned, m of them are at hand, r = n - m are not; d embedding dimensions; G is the sum of
the m embeddings, each of length 1; a is the winner of those at hand.

The scores of all n are ``S_i = (g_i . (G + H)) / n + lambda p_i`` [Equation 7], where H is the sum of the r embeddings
that are not there yet and p_i the perplexity score. How much better than a can the winner be, whatever H is?

- One at hand, b: ``n (S_b - S_a) = (g_b - g_a) . (G + H) + n lambda (p_b - p_a)``, and ``(g_b - g_a) . H`` is at most
  ``r |g_b - g_a|`` (Cauchy-Schwarz; reached where all r point that way).
- A new one, h, with ``c = h . g_a``: it is similar to itself, so ``(h - g_a) . h = 1 - c``; each of the r - 1 others
  adds at most ``|h - g_a| = sqrt(2 - 2c)``; and with ``G = gamma g_a + rho e``, e of length 1 and at right angles to
  g_a, ``h . G`` is at most ``c gamma + sqrt(1 - c^2) rho``. With c = cos(theta) and phi = theta / 2 that is

  ``n (S_h - S_a) <= (1 - gamma) (1 - cos 2 phi) + rho sin 2 phi + 2 (r - 1) sin phi + n lambda (p_h - p_a)``.

A new one that is next to a (c near 1) can always be a little better, but then it says the same. So those whose cosine
with a is at least `same` are not counted: changing to them changes nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smcs.core.exploitation import mean_pairwise_similarity, posterior_scores, winner

_STEPS = 4096


def waves(subsets: Sequence[Hashable]) -> list[list[int]]:
    """Which aggregations are asked for together, where those that are in may make the others needless.

    More than half at first: before, the others could always outweigh those at hand. Then up to three quarters, as each
    wave takes the time of one more call. Equal subsets stay together: they are one request.

    Args:
        subsets: of the n aggregations, in draw order.

    Returns:
        Indices in draw order, wave by wave; waves without anything new are left out.
    """
    n = len(subsets)
    found: list[list[int]] = [[]]
    for subset in dict.fromkeys(subsets):
        have = sum(map(len, found))
        if any(have >= end > have - len(found[-1]) for end in (n // 2 + 1, -(-3 * n // 4))):
            found.append([])
        found[-1] += [i for i, other in enumerate(subsets) if other == subset]
    return [sorted(wave) for wave in found if wave]


def most_gain(
    embeddings: NDArray[Any],
    n: int,
    perplexity: NDArray[Any] | None = None,
    weight: float = 0.0,
    ppl_score: Literal["linear", "inverse"] = "linear",
    *,
    same: float = 1.0,
    least_perplexity: float = 1.0,
) -> float:
    """By how much the winner of all n can have a better posterior score than the winner of those at hand, at most.

    Only aggregations that say something else count: those whose cosine with the winner at hand is below `same`.

    Args:
        embeddings: array of shape (m, d) of the aggregations at hand, rows of any length but 0, 1 <= m <= n.
        n: aggregations in all.
        perplexity: array of shape (m,), each at least 1; not looked at where weight is 0.
        weight: lambda.
        ppl_score: as in `posterior_scores`.
        same: cosine from which on two aggregations say the same, in (-1, 1].
        least_perplexity: the lowest that a further aggregation is held to have; with 1, the lowest that there is, the
            result is a bound whatever they are.

    Returns:
        At least 0. With 0 none that says something else can win.

    Raises:
        ValueError: no aggregation, or more than n.
    """
    e = np.asarray(embeddings, dtype=np.float64)
    if e.ndim != 2 or not 1 <= len(e) <= n:
        raise ValueError(f"expected an array of shape (m, d) with 1 <= m <= {n}, got {e.shape}")
    unit = e / np.linalg.norm(e, axis=1, keepdims=True)
    ppl = np.ones(len(e)) if perplexity is None else np.asarray(perplexity, dtype=np.float64)
    own = posterior_scores(np.zeros(len(e)), ppl, weight, ppl_score)
    best = winner(mean_pairwise_similarity(unit) + own, ppl)
    total, left = unit.sum(axis=0), n - len(e)
    away = unit - unit[best]
    at_hand = (away @ total + left * np.linalg.norm(away, axis=1)) / n + own - own[best]
    gains = at_hand[unit @ unit[best] < same]
    new = 0.0
    if left:
        least = np.array([max(1.0, least_perplexity)])
        lead = float(posterior_scores(np.zeros(1), least, weight, ppl_score)[0] - own[best])
        new = _most_of_a_new_one(unit[best], total, left, same) / n + lead
    return float(max(0.0, new, *gains))


def _most_of_a_new_one(best: NDArray[np.float64], total: NDArray[np.float64], left: int, same: float) -> float:
    """The most of ``n (S_h - S_a)`` without perplexity, over all h that say something else (see above)."""
    gamma = float(best @ total)
    rho = float(np.linalg.norm(total - gamma * best))
    first = np.arccos(np.clip(same, -1.0, 1.0)) / 2
    phi = np.linspace(first, np.pi / 2, _STEPS + 1)
    values = (1 - gamma) * (1 - np.cos(2 * phi)) + rho * np.sin(2 * phi) + 2 * (left - 1) * np.sin(phi)
    # Between two points it is at most its larger end and an eighth of the largest curvature by the step squared.
    curvature = 4 * abs(1 - gamma) + 4 * rho + 2 * (left - 1)
    between = curvature * (phi[1] - phi[0]) ** 2 / 8
    return float(values.max() + between)


def agreement(answers: NDArray[Any], missing: int, needed: float) -> int | None:
    """The answer that so large a share of all responses states, as soon as that is certain.

    Args:
        answers: array of shape (m,) of those that are in: equal numbers from 0 on are equal answers, -1 is none.
        missing: responses that are not in yet.
        needed: share of all m + missing responses that has to state it.

    Returns:
        The number of the answer, or None where no answer has so many (yet); see `agreement_possible`.
    """
    counts = np.bincount(np.asarray(answers)[np.asarray(answers) >= 0], minlength=1)
    leader = int(counts.argmax())
    enough = needed * (len(answers) + missing)
    return leader if counts[leader] > 0 and counts[leader] >= enough - 1e-9 else None


def agreement_possible(answers: NDArray[Any], missing: int, needed: float) -> bool:
    """Whether the missing responses can still make an answer's share as large as needed (see `agreement`)."""
    counts = np.bincount(np.asarray(answers)[np.asarray(answers) >= 0], minlength=1)
    return bool(counts.max() + missing >= needed * (len(answers) + missing) - 1e-9)
