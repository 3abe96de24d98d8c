"""One colour for each strategy, the same in every plot."""

from __future__ import annotations

import colorsys
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
    # Of recorded answers; what is the same live has the same colour.
    "best-single": "#7f7f7f",
    "majority-k": "#74add1",
    "log-odds": "#c994c7",
    "log-odds-k": "#980043",
    "weighted-k": "#e6550d",
    "weighted:voters=retrieved": "#e6550d",
    "oracle": "#bdbdbd",
    # Priors.
    "equation4": "#2ca02c",
    "global": "#8c564b",
    "kernel-ridge-shared": "#c1272d",
    "kernel-ridge": "#ff9896",
    "ridge": "#ff7f0e",
    "softmax": "#9467bd",
    "shrinkage": "#1f77b4",
}


def colour_of(label: str) -> str:
    """The colour of a strategy by its label; variants (``smcs:drop=none``) have colours of their own."""
    if label in _OF_NAME:
        return _OF_NAME[label]
    drawn = hashlib.sha256(label.encode()).digest()
    lightness = (0.32, 0.42, 0.52)[drawn[1] % 3]
    red, green, blue = colorsys.hls_to_rgb(drawn[0] / 256, lightness, 0.62)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
