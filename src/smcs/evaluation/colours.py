"""One colour for each strategy, the same in every plot."""

from __future__ import annotations

import hashlib

_OF_NAME = {
    "smcs": "#c1272d",
    "single": "#7f7f7f",
    "router": "#4d4d4d",
    "majority": "#1f77b4",
    "weighted": "#0b3c5d",
    "self-consistency": "#2ca02c",
    "best-of-n": "#8fbc3b",
    "moa": "#ff7f0e",
    "self-moa": "#b8860b",
    "symbolic-moe": "#9467bd",
    "retrieval-top1": "#17a2b8",
}
_OTHERS = ("#e377c2", "#8c564b", "#5f9ea0", "#6a5acd", "#a0522d", "#556b2f", "#c71585", "#2f4f4f", "#b22222", "#008080")


def colour_of(label: str) -> str:
    """The colour of a strategy by its label; variants (``smcs:drop=none``) have colours of their own."""
    if label in _OF_NAME:
        return _OF_NAME[label]
    return _OTHERS[hashlib.sha256(label.encode()).digest()[0] % len(_OTHERS)]
