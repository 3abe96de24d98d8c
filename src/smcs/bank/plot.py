"""A picture of a bank: how well each LLM does on each benchmark.

Drawn by matplotlib without a window and without its global state. Importing this module takes half a second: do it
where a picture is wanted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from smcs.bank.exporting import replacing
from smcs.bank.groups import Groups
from smcs.errors import BankError, ConfigError

FORMATS = (".png", ".svg", ".pdf")
_TOTAL = "all"
_COLOURS = "viridis"
_NOTHING, _HATCH = "#eeeeee", "#b8b8b8"
_INK = "#222222"
_NOTE = "per cent correct ± standard error, n: graded responses; hatched: not asked, or no grade"
_ROW, _COLUMN, _GAP = 0.42, 1.18, 0.18
"""Inches of a cell, and of the gap before the column of all questions (in columns)."""
_EQUALLY_LEGIBLE = 0.179
"""Luminance on which black and white have the same contrast."""
_BELOW = 0.55
_LETTER = 0.085
"""Inches of a letter of a label, roughly."""


def heat_map(groups: Groups, title: str) -> Figure:
    """Draw LLM by group: accuracy as colour and number, with its standard error and how many responses were graded.

    LLMs that were asked the same groups stand together, best first. Where an LLM was not asked anything the cell is
    hatched; where only some of its responses have a grade, a bar at the foot of the cell shows the share.
    """
    several = len(groups.names) > 1
    shown = (groups.with_total(_TOTAL) if several else groups).ordered()
    layout = _Layout.of(shown, gap=_GAP if several else 0.0)
    figure = Figure(figsize=(layout.width, layout.height), layout=None)
    axes = figure.add_axes(layout.box(layout.left, _BELOW, layout.cells_width, layout.cells_height))
    axes.set_xlim(-0.5, layout.columns[-1] + 0.5)
    axes.set_ylim(len(shown.llms) - 0.5, -0.5)
    colours = _cells(axes, shown, layout)
    _label(axes, shown, layout)
    at = layout.box(0.15, layout.height - 0.3, 0, 0)[:2]
    figure.text(*at, title, fontsize=12, fontweight="bold", color=_INK, parse_math=False)
    figure.text(*layout.box(0.15, 0.2, 0, 0)[:2], _NOTE, fontsize=8, color=_INK)
    _colour_bar(figure, colours, layout)
    return figure


def check_format(path: Path) -> None:
    """Check that the name of a picture says of which kind it is to be.

    Raises:
        ConfigError: it does not, or of one that cannot be drawn.
        BankError: there is no such folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: the name of a plot ends in one of {', '.join(FORMATS)}, not {path.suffix!r}")
    if path.is_dir():
        raise BankError(f"{path} is a folder; give the file a name in it")
    if not path.parent.is_dir():
        raise BankError(f"there is no folder {path.parent} to write to")


def save(figure: Figure, path: Path) -> None:
    """Write a picture in the format that its name says. The same figure gives the same bytes.

    Raises:
        ConfigError: the name says none.
        BankError: the file cannot be written.
    """
    check_format(path)
    kind = path.suffix.lower().removeprefix(".")
    undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    fixed: dict[Any, Any] = {"svg.hashsalt": "smcs", "pdf.fonttype": 42}
    with replacing(path) as temporary, mpl.rc_context(fixed), _without_glyph_warnings():
        figure.savefig(temporary, format=kind, dpi=150, facecolor="white", metadata=undated[kind])


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in inches; `columns` are the cells' middles in units of a cell."""

    columns: tuple[float, ...]
    left: float
    cells_width: float
    cells_height: float
    above: float
    headings: tuple[str, ...]
    slanted: bool

    @classmethod
    def of(cls, groups: Groups, gap: float) -> Self:
        longest = max(map(len, groups.names))
        slanted = longest * _LETTER > _COLUMN
        between = " " if slanted else "\n"
        columns = [float(i) for i in range(len(groups.names))]
        columns[-1] += gap
        return cls(
            columns=tuple(columns),
            left=0.3 + _LETTER * max(map(len, groups.llms)),
            cells_width=(columns[-1] + 1) * _COLUMN,
            cells_height=len(groups.llms) * _ROW,
            above=0.6 + (_LETTER * 0.55 * (longest + 8) if slanted else 0.4),
            headings=tuple(f"{n}{between}({q:,})" for n, q in zip(groups.names, groups.questions, strict=True)),
            slanted=slanted,
        )

    @property
    def width(self) -> float:
        return self.left + self.cells_width + 1.25

    @property
    def height(self) -> float:
        return self.above + self.cells_height + _BELOW

    def box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """A box in inches as shares of the whole."""
        return x / self.width, y / self.height, width / self.width, height / self.height


def _cells(axes: Axes, groups: Groups, layout: _Layout) -> ScalarMappable:
    """Draw the cells; returns what a colour bar needs."""
    colours = ScalarMappable(Normalize(0, 100), colormaps[_COLOURS])
    accuracy, error, coverage = 100 * groups.accuracy, 100 * groups.standard_error, groups.coverage
    for row, column in np.ndindex(accuracy.shape):
        x, percent, known = layout.columns[column], float(accuracy[row, column]), float(coverage[row, column])
        if math.isnan(percent):
            _hatched(axes, x - 0.48, row - 0.46, 0.96, 0.92)
            continue
        red, green, blue, _ = (float(part) for part in colours.to_rgba(np.array([percent]))[0])
        axes.add_patch(Rectangle((x - 0.48, row - 0.46), 0.96, 0.92, facecolor=(red, green, blue), linewidth=0))
        ink = "black" if _luminance(red, green, blue) > _EQUALLY_LEGIBLE else "white"
        axes.text(x, row - 0.17, f"{percent:.1f}", ha="center", va="center", fontsize=9, fontweight="bold", color=ink)
        with_error = "" if math.isnan(error[row, column]) else f"±{error[row, column]:.1f}  "
        small = f"{with_error}n={groups.graded[row, column]:,}"
        axes.text(x, row + 0.16, small, ha="center", va="center", fontsize=6.5, color=ink)
        if known < 1:
            _hatched(axes, x - 0.48 + 0.96 * known, row + 0.36, 0.96 * (1 - known), 0.1)
    return colours


def _hatched(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    box = Rectangle((x, y), width, height, facecolor=_NOTHING, edgecolor=_HATCH, hatch="////", linewidth=0)
    axes.add_patch(box)


def _label(axes: Axes, groups: Groups, layout: _Layout) -> None:
    axes.xaxis.tick_top()
    axes.set_xticks(layout.columns)
    axes.set_xticklabels(layout.headings, fontsize=9, color=_INK, parse_math=False)
    if layout.slanted:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(groups.llms)))
    axes.set_yticklabels(groups.llms, fontsize=9, color=_INK, parse_math=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colour_bar(figure: Figure, colours: ScalarMappable, layout: _Layout) -> None:
    height = min(layout.cells_height, 4.0)
    beside = layout.left + layout.cells_width + 0.2
    axes = figure.add_axes(layout.box(beside, _BELOW + layout.cells_height - height, 0.16, height))
    bar = figure.colorbar(colours, cax=axes)
    bar.set_label("accuracy (%)" if height < 1.5 else "accuracy (% of graded responses)", fontsize=8, color=_INK)
    bar.set_ticks([0, 25, 50, 75, 100] if height > 1 else [0, 50, 100])
    axes.tick_params(labelsize=8, colors=_INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _luminance(*colour: float) -> float:
    """Relative luminance of an sRGB colour, in [0, 1] (WCAG 2)."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@contextmanager
def _without_glyph_warnings() -> Iterator[None]:
    """A name in letters that the font lacks shows boxes; that is no reason to warn in the middle of a command."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield
