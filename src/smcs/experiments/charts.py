"""Figures of experiments: lines, bars and shares, drawn by matplotlib as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smcs.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
_INK, _FAINT, _SAID = "#222222", "#d9d9d9", "#555555"
_STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "svg.hashsalt": "smcs",
    "svg.fonttype": "none",
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one bar of each group.

    Attributes:
        x: places along the axis, of a line; of bars the groups' names.
        y: values.
        error: half the length of the error bar of each value; nothing where empty.
    """

    label: str
    colour: str
    x: Sequence[float] | Sequence[str]
    y: Sequence[float]
    error: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """Values along an axis of numbers."""

    title: str
    series: Sequence[Series]
    x_label: str
    y_label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars; all series have the same groups."""

    title: str
    series: Sequence[Series]
    y_label: str


@dataclass(frozen=True, slots=True)
class Shares:
    """Rows that each add up to 100 per cent, with the value in every cell.

    Attributes:
        values: one row for each of `rows`, one value for each of `columns`, in per cent.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    row_label: str
    column_label: str


Panel: TypeAlias = Lines | Bars | Shares


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels beside each other under one title, with a line that says what error bars and the like are."""

    title: str
    panels: Sequence[Panel]
    caption: str = ""


def draw(chart: Chart, path: Path) -> None:
    """Draw a chart to a file, in the format of its ending.

    Raises:
        ConfigError: the file cannot be written, or its format is none of `FORMATS`.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: a figure is written as {', '.join(FORMATS)}")
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and most commands draw nothing

    with mpl.rc_context(_STYLE):
        figure = _figure(chart)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        try:
            figure.savefig(path, dpi=160, metadata=metadata, facecolor="white")
        except OSError as error:
            raise ConfigError(f"cannot write the figure {path}: {error.strerror or error}") from None


def _figure(chart: Chart) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415

    widths = [_width(panel) for panel in chart.panels]
    across = min(len(widths), 3)
    down = -(-len(widths) // across)
    shares = [panel for panel in chart.panels if isinstance(panel, Shares)]
    height = max([1.6 + 0.42 * len(panel.rows) for panel in shares], default=3.6)
    figure = Figure(figsize=(max(across * max(widths), 5.5), down * height + 0.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(down, across)).ravel()
    for panel, place in zip(chart.panels, axes, strict=False):
        _PANELS[type(panel)](panel, place)
    for place in axes[len(chart.panels) :]:
        place.set_axis_off()
    figure.suptitle(chart.title, fontsize=11, fontweight="bold", color=_INK)
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        legend = figure.legend(
            handles, labels, loc="outside lower center", ncols=min(len(labels), 4 if across < 3 else 5), frameon=False,
            title=chart.caption, title_fontsize=8,
        )  # fmt: skip
        legend.get_title().set_color(_SAID)
    elif chart.caption:
        figure.supxlabel(chart.caption, fontsize=8, color=_SAID)
    return figure


def _width(panel: Panel) -> float:
    if isinstance(panel, Shares):
        return 2.0 + 0.72 * len(panel.columns)
    if isinstance(panel, Bars):
        bars = sum(len(series.x) for series in panel.series)
        return min(max(3.6, 1.2 + 0.26 * bars), 11.0)
    return 4.0


def _lines(panel: Any, place: Axes) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    step = min((b - a for series in panel.series for a, b in pairwise(series.x)), default=1)
    for i, series in enumerate(panel.series):
        # Beside each other, so that no error bar hides another.
        beside = (i - (len(panel.series) - 1) / 2) * 0.09 * step
        bars = place.errorbar(
            np.asarray(series.x) + beside, series.y, yerr=_within(series), label=series.label, color=series.colour,
            marker="o", markersize=3.5, linewidth=1.5, capsize=0, elinewidth=0.9,
        )  # fmt: skip
        for bar in bars[2]:
            bar.set_alpha(0.55)
    _frame(panel, place)
    place.set_xlabel(panel.x_label)
    place.xaxis.set_major_locator(MaxNLocator(integer=True))


def _bars(panel: Any, place: Axes) -> None:
    groups = list(panel.series[0].x)
    width = 0.8 / len(panel.series)
    for i, series in enumerate(panel.series):
        at = np.arange(len(groups)) + (i - (len(panel.series) - 1) / 2) * width
        place.bar(
            at, series.y, width * 0.94, yerr=_within(series), label=series.label, color=series.colour,
            error_kw={"elinewidth": 0.9, "capsize": 2, "ecolor": _INK},
        )  # fmt: skip
    place.set_xticks(np.arange(len(groups)), groups, rotation=20 if len(groups) > 3 else 0, ha="center")
    _frame(panel, place)
    _, top = place.get_ylim()
    place.set_ylim(0, min(top, 102))


def _within(series: Series) -> NDArray[np.float64] | None:
    """Lengths of error bars below and above, which do not leave 0 to 100 per cent."""
    if not series.error:
        return None
    y, error = np.asarray(series.y, np.float64), np.asarray(series.error, np.float64)
    return np.asarray(np.maximum(np.stack([np.minimum(error, y), np.minimum(error, 100 - y)]), 0.0))


def _shares(panel: Any, place: Axes) -> None:
    values = np.asarray(panel.values, dtype=np.float64)
    place.imshow(values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for i, j in np.ndindex(values.shape):
        if np.isfinite(values[i, j]):
            shown = f"{values[i, j]:.0f}" if values[i, j] >= 1 or values[i, j] == 0 else "<1"
            place.text(j, i, shown, ha="center", va="center", color="white" if values[i, j] > 55 else _INK)
    place.set_xticks(range(len(panel.columns)), panel.columns, rotation=35, ha="right")
    place.set_yticks(range(len(panel.rows)), panel.rows)
    place.set_xlabel(panel.column_label)
    place.set_ylabel(panel.row_label)
    place.set_title(panel.title)
    place.tick_params(length=0)
    for spine in place.spines.values():
        spine.set_visible(False)


def _frame(panel: Any, place: Axes) -> None:
    place.set_title(panel.title)
    place.set_ylabel(panel.y_label)
    place.grid(axis="y", color=_FAINT, linewidth=0.6)
    place.set_axisbelow(True)


_PANELS = {Lines: _lines, Bars: _bars, Shares: _shares}
