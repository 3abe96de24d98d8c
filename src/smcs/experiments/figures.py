"""Numbers of an experiment in the form that its JSON and its tables have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smcs.core.measures import accuracy_with_error, interval_over, mcnemar, resamples_of
from smcs.experiments.replay import Outcome

Json: TypeAlias = dict[str, Any]
_DIGITS = 6


def number(value: float) -> float | None:
    """Rounded, so that another machine's last bits do not show; None for what is not a number."""
    return None if math.isnan(value) else round(float(value), _DIGITS)


def accuracy(score: NDArray[Any]) -> Json:
    """Accuracy in [0, 1] with its standard error."""
    mean, error = accuracy_with_error(score)
    return {"accuracy": number(mean), "standard_error": number(error), "n": int(np.size(score))}


def accuracies(scores: Mapping[str, NDArray[Any]], at: NDArray[Any] | None = None) -> Json:
    """Of each strategy, on some of the questions."""
    return {name: accuracy(score if at is None else score[at]) for name, score in scores.items()}


def difference(one: str, other: str, scores: Mapping[str, NDArray[Any]], at: NDArray[Any], seed: int) -> Json:
    """Paired difference of two strategies with its 95% interval, and the p-value of McNemar's exact test."""
    a, b = scores[one][at], scores[other][at]
    low, high = interval_over(_resamples(a.size, seed), a - b)
    return {
        "one": one,
        "other": other,
        "mean": number(float((a - b).mean())),
        "low": number(low),
        "high": number(high),
        "p_value": number(mcnemar(a, b)),
        "n": int(a.size),
    }


def differences(
    pairs: Iterable[tuple[str, str]], scores: Mapping[str, NDArray[Any]], at: NDArray[Any], seed: int
) -> list[Json]:
    """Of the pairs of strategies that are there."""
    return [difference(one, other, scores, at, seed) for one, other in pairs if one in scores and other in scores]


def rankings(outcome: Outcome, at: NDArray[Any], seed: int, against: Iterable[str] = ("equation4", "global")) -> Json:
    """Pairwise ranking score of each prior with its interval, and how much better it is than others."""
    made: Json = {}
    drawn = _resamples(at.size, seed)
    for name, (won, pairs) in outcome.pairs.items():
        w, p = won[at], pairs[at]
        total = int(p.sum())
        low, high = interval_over(drawn, w, p) if total else (math.nan, math.nan)
        made[name] = {
            "pairwise_ranking_score": number(int(w.sum()) / total) if total else None,
            "low": number(low),
            "high": number(high),
            "pairs": total,
            "settings": str(outcome.settings[name]),
        }
        for other in against:
            if other != name and other in outcome.pairs and total:
                less = w - outcome.pairs[other][0][at]
                low, high = interval_over(drawn, less, p)
                made[name][f"minus_{other}"] = {
                    "mean": number(int(less.sum()) / total),
                    "low": number(low),
                    "high": number(high),
                }
    return made


@lru_cache(maxsize=8)
def _resamples(count: int, seed: int) -> NDArray[np.float32]:
    """The same resamples for all intervals over as many questions."""
    return resamples_of(count, np.random.default_rng(seed))
