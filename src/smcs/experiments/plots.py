"""The study's plots, one file for each part, a panel for each benchmark.

Drawn by matplotlib without a window and without its global state; importing this module takes half a second. The same
strategy has the same colour here and in the reports of ``smcs eval``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from smcs.evaluation.colours import colour_of
from smcs.experiments.figures import Json

_SHOWN = ("best-single", "majority", "retrieval-top1", "majority-k", "log-odds-k", "weighted-k", "oracle")
_NAMES = {
    "best-single": "best single LLM",
    "majority": "majority of all",
    "retrieval-top1": "retrieval, top 1",
    "majority-k": "majority of the K",
    "log-odds-k": "log odds of the K",
    "weighted-k": "prior-weighted vote of the K",
    "oracle": "oracle",
}
_WITHOUT_K = ("best-single", "majority", "retrieval-top1")
_MARKS = dict(zip(_SHOWN, ("s", "o", "v", "P", "D", "^", "*"), strict=True))
Draw: TypeAlias = Callable[[Axes, Sequence[Json]], None]
_WIDTH, _HEIGHT = 4.6, 3.9
_METADATA = {"Software": None}  # the same picture from another version of the library is the same file


def draw_study(study: Json, folder: Path, ending: str = "png") -> list[Path]:
    """Draw what a study holds.

    Args:
        study: from `smcs.experiments.study.run_study`.
        folder: where the files go; it exists.
        ending: ``png`` or ``svg``.

    Returns:
        The files, one for each part that can be drawn.

    Raises:
        OSError: a file cannot be written.
    """
    parts: Mapping[str, Sequence[Json]] = study["parts"]
    k = study["settings"]["k"]
    figures: dict[str, Figure] = {}
    if parts.get("leave-out"):
        figures["leave-out"] = _panels(parts["leave-out"], _leave_out, f"Without the strongest LLMs (K = {k})")
    if parts.get("k"):
        whole = [row for row in parts["k"] if row["without"] == 0]
        figures["k"] = _panels(
            whole, _by("k", "K, LLMs that the prior selects"), "By K, the whole pool (bands: standard error)"
        )
        rest = [row for row in parts["k"] if row["without"] == 2]
        title = "By K, without the two strongest LLMs (bands: standard error)"
        figures["k-without-two"] = _panels(rest, _by("k", "K, LLMs that the prior selects"), title)
    if parts.get("pool-size"):
        title = f"By the size of the pool (K = {k}): means of random pools ± standard deviation"
        figures["pool-size"] = _panels(parts["pool-size"], _by("llms", "LLMs in the pool"), title)
    if parts.get("bank-size"):
        title = f"By the size of the bank (K = {k}): means of random banks ± standard deviation"
        figures["bank-size"] = _panels(parts["bank-size"], _by("bank_questions", "questions in the bank"), title)
    if study["benchmarks"]:
        figures["priors"] = _priors(study["benchmarks"])
    files = []
    for name, figure in figures.items():
        file = folder / f"recorded-{name}.{ending}"
        figure.savefig(file, dpi=110, metadata=_METADATA if ending == "png" else {"Date": None})
        files.append(file)
    return files


def _panels(rows: Sequence[Json], draw: Draw, title: str) -> Figure:
    benchmarks = list(dict.fromkeys(row["benchmark"] for row in rows))
    figure = Figure(figsize=(_WIDTH * len(benchmarks), _HEIGHT + 0.9), layout="constrained")
    panels = figure.subplots(1, len(benchmarks), squeeze=False)[0]
    for panel, benchmark in zip(panels, benchmarks, strict=True):
        own = [row for row in rows if row["benchmark"] == benchmark]
        draw(panel, own)
        n = next(iter(own[0]["strategies"].values()))["n"]
        panel.set_title(f"{benchmark} (n = {n})", fontsize=10)
        panel.grid(visible=True, axis="y", color="#e5e5e5", linewidth=0.7)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, max(1, len(labels))), fontsize=9, frameon=False
    )
    figure.suptitle(title, fontsize=11)
    return figure


def _by(key: str, label: str) -> Draw:
    """Lines over a number; where there are draws the bars are their deviation, else the standard error."""

    def draw(panel: Axes, rows: Sequence[Json]) -> None:
        x = np.array([row[key] for row in rows], float)
        # What no choice among the answers can exceed grows with the pool, and would hide the rest where it does not.
        names = [name for name in _SHOWN if name in rows[0]["strategies"] and (key == "llms" or name != "oracle")]
        for i, name in enumerate(names):
            values = [row["strategies"][name] for row in rows]
            if key == "k" and name in _WITHOUT_K:
                value = values[0]
                # Dashes over a line: two of them may be the same LLM.
                style = "-" if name == "best-single" else "--"
                panel.axhline(100 * value["accuracy"], color=colour_of(name), linestyle=style, label=_NAMES[name])
                panel.axhspan(
                    100 * value["accuracy"] - _spread(value),
                    100 * value["accuracy"] + _spread(value),
                    color=colour_of(name),
                    alpha=0.08,
                    linewidth=0,
                )
                continue
            spread = [_spread(value) for value in values]
            # A little apart, so that bars do not cover each other.
            shift = (i - (len(names) - 1) / 2) * 0.012
            at = x * (1 + shift) if key == "bank_questions" else x + shift * 6
            panel.errorbar(
                at,
                [100 * value["accuracy"] for value in values],
                yerr=spread,
                label=_NAMES[name],
                color=colour_of(name),
                marker=_MARKS[name],
                markersize=4,
                linewidth=1.3,
                elinewidth=0.7,
                capsize=1.5,
            )
        panel.set_xlabel(label)
        if key == "bank_questions":
            panel.set_xscale("log")
            panel.set_xticks(x, [f"{value:.0f}" for value in x], fontsize=8)
            panel.minorticks_off()
        else:
            panel.set_xticks(x[:: 2 if len(x) > 8 else 1])

    return draw


def _spread(value: Json) -> float:
    spread = value["standard_deviation"] if "standard_deviation" in value else value["standard_error"]
    return 0.0 if spread is None else 100 * spread


def _leave_out(panel: Axes, rows: Sequence[Json]) -> None:
    names = [name for name in _SHOWN if name in rows[0]["strategies"] and name != "oracle"]
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        values = [row["strategies"][name] for row in rows]
        panel.bar(
            np.arange(len(rows)) - 0.4 + width * (i + 0.5),
            [100 * value["accuracy"] for value in values],
            width,
            yerr=[_spread(value) for value in values],
            label=_NAMES[name],
            color=colour_of(name),
            error_kw={"elinewidth": 0.8, "capsize": 1.5},
        )
    shown = [100 * row["strategies"][name]["accuracy"] for row in rows for name in names]
    # Differences are small against the whole: the axis does not begin at 0, and says so.
    low = 5 * np.floor((min(shown) - 4) / 5)
    panel.set_ylim(max(0.0, low), min(100.0, max(shown) + 4))
    labels = [f"{len(row['without'])}\n({row['llms']} LLMs)" for row in rows]
    panel.set_xticks(np.arange(len(rows)), labels, fontsize=9)
    panel.set_xlabel(f"strongest LLMs left out (axis begins at {max(0.0, low):.0f})")


def _priors(benchmarks: Mapping[str, Json]) -> Figure:
    """Pairwise ranking scores of all priors, with 95% intervals."""
    figure = Figure(figsize=(_WIDTH * len(benchmarks), _HEIGHT), layout="constrained")
    panels = figure.subplots(1, len(benchmarks), squeeze=False)[0]
    for panel, (benchmark, row) in zip(panels, benchmarks.items(), strict=True):
        found = {name: value for name, value in row["priors"].items() if value["pairwise_ranking_score"] is not None}
        names = sorted(found, key=lambda name: found[name]["pairwise_ranking_score"])
        for place, name in enumerate(names):
            value = found[name]
            score = value["pairwise_ranking_score"]
            panel.errorbar(
                [score],
                [place],
                xerr=[[score - value["low"]], [value["high"] - score]],
                color=colour_of(name),
                marker="o",
                capsize=2,
            )
        panel.set_yticks(range(len(names)), names, fontsize=9)
        panel.set_title(f"{benchmark} ({next(iter(found.values()))['pairs'] if found else 0} pairs)", fontsize=10)
        panel.set_xlabel("pairwise ranking score, 95% interval")
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.grid(visible=True, axis="x", color="#e5e5e5", linewidth=0.7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle("How well priors rank right LLMs above wrong ones", fontsize=11)
    return figure
