"""The report's plots, drawn by matplotlib as SVG whose text stays text."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from smcs.evaluation.colours import colour_of
from smcs.evaluation.report import Pair, Report
from smcs.evaluation.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _FAINT = "#222222", "#d9d9d9"
_Z = 1.96
_WIDTH, _ROW, _AROUND = 8.6, 0.27, 0.95  # inches
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "svg.fonttype": "none",
    "svg.hashsalt": "smcs",
}
_NOT_NEEDED = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>", re.DOTALL)
"""What an SVG inside of a page does without: its XML declaration, and who made it when."""


def accuracy_plot(report: Report, benchmark: str | None = None) -> str:
    """Accuracy of each strategy with its 95% interval, best first; of one benchmark or on average."""
    rows = [(row.label, row.benchmarks[benchmark] if benchmark else row.average) for row in report.rows]
    known = sorted(((label, e) for label, e in rows if not math.isnan(e.mean)), key=lambda item: -item[1].mean)
    where = benchmark or (next(iter(report.benchmarks)) if len(report.benchmarks) == 1 else "average over benchmarks")
    marks = [(label, (100 * e.mean, *_interval(e)), f"{100 * e.mean:.1f}") for label, e in known]
    return _rows_plot(f"Accuracy, per cent, with 95% interval: {where}", marks, least=10)


def differences_plot(pairs: Sequence[Pair], reference: str) -> str:
    """How much better one strategy is than each other, with 95% intervals."""
    turned = [_turned(pair, reference) for pair in pairs if reference in {pair.one, pair.other}]
    marks = [(label, values, f"{values[0]:+.1f}") for label, values in turned if not math.isnan(values[0])]
    title = f"{reference} less each other strategy, points of per cent, with 95% interval"
    return _rows_plot(title, marks, least=5, zero=True)


def cost_plot(report: Report) -> str:
    """Accuracy against the tokens of an answer; numbers in the order of accuracy."""
    known = [row for row in report.rows if not math.isnan(row.average.mean) and row.tokens > 0]
    known.sort(key=lambda row: -row.average.mean)
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    with _drawing("Accuracy against tokens of an answer", max(4.2, 1.2 + 0.2 * len(known))) as (place, svg):
        handles = []
        for number, row in reversed(list(enumerate(known, 1))):  # the best on top
            value, (low, high) = 100 * row.average.mean, _interval(row.average)
            colour = colour_of(row.label)
            place.plot([row.tokens] * 2, [low, high], color=colour, linewidth=1.4)
            label = f"{number}  {row.label}"
            handles += place.plot(
                row.tokens, value, "o", color=colour, markersize=11, markeredgecolor="white", label=label
            )
            place.annotate(
                str(number), (row.tokens, value), color="white", fontsize=7.5, fontweight="bold", ha="center",
                va="center_baseline",
            )  # fmt: skip
        if known:
            place.set_xscale("log")
            place.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            place.xaxis.set_major_formatter(EngFormatter(sep=""))
            place.xaxis.set_minor_formatter(NullFormatter())
            place.margins(x=0.12, y=0.08)
            place.legend(
                handles=handles[::-1], loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=8.5,
                markerscale=0.7, borderaxespad=0,
            )  # fmt: skip
        place.set_xlabel("tokens of an answer, prompts included (logarithmic)")
        place.set_ylabel("accuracy, per cent, with 95% interval")
        place.grid(axis="y", color=_FAINT, linewidth=0.7)
        place.spines[["top", "right"]].set_visible(False)
    return svg()


def _rows_plot(
    title: str, marks: Sequence[tuple[str, tuple[float, float, float], str]], *, least: float, zero: bool = False
) -> str:
    """A dot and its interval for each row, labels at the left and values at the right.

    Args:
        marks: label, value with its interval, and the value as shown.
        least: the axis spans at least so much.
        zero: whether 0 is on the axis, and marked.
    """
    with _drawing(title, _AROUND + _ROW * max(len(marks), 1)) as (place, svg):
        for i, (label, (value, low, high), _) in enumerate(marks):
            error = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
            place.errorbar(
                value, i, xerr=error, fmt="o", color=colour_of(label), markersize=6, capsize=3, elinewidth=1.6
            )
        place.set_yticks(range(len(marks)), [label for label, *_ in marks])
        for i, (*_, shown) in enumerate(marks):
            place.annotate(
                shown, (1.02, i), xycoords=("axes fraction", "data"), va="center", annotation_clip=False, color=_INK
            )
        ends = [end for _, (_, *interval), _ in marks for end in interval] + ([0.0] if zero else [])
        middle, span = (max(ends) + min(ends)) / 2 if ends else 50.0, max(ends) - min(ends) if ends else 0.0
        half = max(span * 0.56, least / 2)
        place.set_xlim(middle - half, middle + half)
        place.set_ylim(max(len(marks), 1) - 0.5, -0.5)
        if zero:
            place.axvline(0, color=_INK, linewidth=1.1)
        place.grid(axis="x", color=_FAINT, linewidth=0.7)
        place.spines[["top", "right", "left"]].set_visible(False)
        place.tick_params(axis="y", length=0)
    return svg()


@contextmanager
def _drawing(title: str, height: float) -> Iterator[tuple[Axes, Callable[[], str]]]:
    """A place to draw in, and what gives the SVG once it is drawn."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and most commands draw nothing
    from matplotlib.figure import Figure  # noqa: PLC0415

    made: list[str] = []
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        place = figure.subplots()
        place.set_axisbelow(True)
        yield place, made.pop
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=_INK)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        made.append(_NOT_NEEDED.sub("", out.getvalue()))


def _interval(estimate: Estimate) -> tuple[float, float]:
    """95% interval in per cent, within 0 to 100."""
    half = 0.0 if math.isnan(estimate.error) else _Z * estimate.error
    return max(0.0, 100 * (estimate.mean - half)), min(100.0, 100 * (estimate.mean + half))


def _turned(pair: Pair, reference: str) -> tuple[str, tuple[float, float, float]]:
    d = pair.difference
    if pair.one == reference:
        return pair.other, (100 * d.mean, 100 * d.low, 100 * d.high)
    return pair.one, (-100 * d.mean, -100 * d.high, -100 * d.low)
