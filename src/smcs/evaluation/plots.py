"""The report's plots, as SVG that needs nothing else: three kinds, drawn here since a plotting library is 100 MB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.sax.saxutils import escape

from smcs.evaluation.colours import colour_of
from smcs.evaluation.report import Pair, Report
from smcs.evaluation.statistics import Estimate

_WIDTH = 760
_ROW = 26
_LABEL = 230
_MARGIN = 24
_TOP = 44
_INK, _FAINT = "#222222", "#d9d9d9"
_Z = 1.96
Point: TypeAlias = tuple[float, float]


@dataclass(slots=True)
class Drawing:
    """An SVG drawing."""

    width: float
    height: float
    title: str
    _parts: list[str] = field(default_factory=list)

    def line(self, begin: Point, end: Point, colour: str = _INK, width: float = 1.0) -> None:
        """A line."""
        (x1, y1), (x2, y2) = begin, end
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def dot(self, x: float, y: float, colour: str, hint: str = "") -> None:
        """A dot, with a text that shows when it is pointed at."""
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"><title>{escape(hint)}</title></circle>'
        )

    def badge(self, at: Point, number: int, colour: str, hint: str = "") -> None:
        """A dot with a number in it."""
        x, y = at
        self._parts.append(
            f'<g><title>{escape(hint)}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{colour}" stroke="white"/>'
            f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-size="10" font-weight="bold" fill="white">'
            f"{number}</text></g>"
        )

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, size: int = 12) -> None:
        """A line of text, its baseline at y."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{weight} fill="{_INK}">'
            f"{escape(text)}</text>"
        )

    def render(self) -> str:
        """The SVG."""
        size = f'width="{self.width:.0f}" height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" role="img" '
            f'aria-label="{escape(self.title)}"><rect width="100%" height="100%" fill="white"/>'
            f"{''.join(self._parts)}</svg>"
        )


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to places on the paper."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value is."""
        low, high, v = (math.log(x) for x in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.begin + (v - low) / (high - low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Round values along it."""
        return _log_ticks(self.low, self.high) if self.log else _round_ticks(self.low, self.high)


def accuracy_plot(report: Report, benchmark: str | None = None) -> str:
    """Accuracy of each strategy with its 95% interval, best first; of one benchmark or on average."""
    rows = [(row, row.benchmarks[benchmark] if benchmark else row.average) for row in report.rows]
    known = sorted(((row, e) for row, e in rows if not math.isnan(e.mean)), key=lambda item: -item[1].mean)
    where = benchmark or (next(iter(report.benchmarks)) if len(report.benchmarks) == 1 else "average over benchmarks")
    title = f"Accuracy, per cent: {where}"
    drawing, axis = _rows_frame(title, len(known), _span([_interval(e) for _, e in known], least=10, within=(0, 100)))
    for i, (row, estimate) in enumerate(known):
        low, high = _interval(estimate)
        hint = f"{row.label}: {100 * estimate.mean:.1f} ({low:.1f} to {high:.1f})"
        _row_mark(drawing, axis, i, row.label, (100 * estimate.mean, low, high), hint=hint)
    return drawing.render()


def differences_plot(pairs: Sequence[Pair], reference: str) -> str:
    """How much better one strategy is than each other, with 95% intervals."""
    turned = [_turned(pair, reference) for pair in pairs if reference in {pair.one, pair.other}]
    known = [(label, values) for label, values in turned if not math.isnan(values[0])]
    title = f"{reference} less each other strategy, points of per cent"
    spans = [(min(0.0, low), max(0.0, high)) for _, (_, low, high) in known]
    drawing, axis = _rows_frame(title, len(known), _span(spans, least=5))
    if known:
        drawing.line((axis.at(0), _TOP - 6), (axis.at(0), drawing.height - 34), _INK, 1.2)
    for i, (label, values) in enumerate(known):
        hint = f"{reference} less {label}: {values[0]:+.1f} ({values[1]:+.1f} to {values[2]:+.1f})"
        _row_mark(drawing, axis, i, label, values, hint=hint)
    return drawing.render()


def cost_plot(report: Report) -> str:
    """Accuracy against the tokens of an answer; numbers in the order of accuracy."""
    known = [row for row in report.rows if not math.isnan(row.average.mean) and row.tokens > 0]
    known.sort(key=lambda row: -row.average.mean)
    height = max(380.0, _TOP + 20.0 * len(known) + 30)
    drawing = Drawing(_WIDTH, height, "Accuracy against tokens")
    drawing.text(_MARGIN, 22, "Accuracy (per cent, 95% interval) against tokens of an answer", bold=True, size=14)
    if not known:
        return drawing.render()
    right = _WIDTH - 210
    tokens = [row.tokens for row in known]
    x = Axis(min(tokens) / 1.4, max(tokens) * 1.4, 70, right, log=True)
    low, high = _span([_interval(row.average) for row in known], least=10, within=(0, 100))
    y = Axis(low, high, height - 56, _TOP)
    for tick in y.ticks():
        drawing.line((70, y.at(tick)), (right, y.at(tick)), _FAINT)
        drawing.text(62, y.at(tick) + 4, f"{tick:g}", anchor="end")
    for tick in x.ticks():
        drawing.line((x.at(tick), height - 56), (x.at(tick), height - 51))
        drawing.text(x.at(tick), height - 38, _short(tick), anchor="middle")
    drawing.text((70 + right) / 2, height - 16, "tokens of an answer, prompts included (logarithmic)", anchor="middle")
    for row in known:
        low, high = _interval(row.average)
        drawing.line((x.at(row.tokens), y.at(low)), (x.at(row.tokens), y.at(high)), colour_of(row.label), 1.5)
    for number, row in reversed(list(enumerate(known, 1))):  # the best on top
        place, value = x.at(row.tokens), 100 * row.average.mean
        drawing.badge((place, y.at(value)), number, colour_of(row.label), f"{row.label}: {value:.1f}")
        drawing.badge((right + 24, _TOP + 20.0 * (number - 1)), number, colour_of(row.label))
        drawing.text(right + 38, _TOP + 20.0 * (number - 1) + 4, _cut(row.label, 25))
    return drawing.render()


def _rows_frame(title: str, count: int, span: tuple[float, float]) -> tuple[Drawing, Axis]:
    """A drawing with a title, a scale, and room for so many rows."""
    height = _TOP + count * _ROW + 40
    drawing = Drawing(_WIDTH, height, title)
    drawing.text(_MARGIN, 22, title, bold=True, size=14)
    axis = Axis(span[0], span[1], _LABEL, _WIDTH - 70)
    for tick in axis.ticks():
        drawing.line((axis.at(tick), _TOP - 6), (axis.at(tick), height - 34), _FAINT)
        drawing.text(axis.at(tick), height - 16, f"{tick:g}", anchor="middle")
    return drawing, axis


def _row_mark(
    drawing: Drawing, axis: Axis, i: int, label: str, values: tuple[float, float, float], *, hint: str
) -> None:
    """A label, a dot and its interval, and the value at the right."""
    value, low, high = values
    y = _TOP + i * _ROW + _ROW / 2
    colour = colour_of(label)
    drawing.text(_LABEL - 12, y + 4, _cut(label, 32), anchor="end")
    drawing.line((axis.at(low), y), (axis.at(high), y), colour, 2)
    for end in (low, high):
        drawing.line((axis.at(end), y - 4), (axis.at(end), y + 4), colour, 2)
    drawing.dot(axis.at(value), y, colour, hint)
    drawing.text(drawing.width - _MARGIN, y + 4, f"{value:+.1f}" if axis.low < 0 else f"{value:.1f}", anchor="end")


def _interval(estimate: Estimate) -> tuple[float, float]:
    """95% interval in per cent, within 0 to 100."""
    half = 0.0 if math.isnan(estimate.error) else _Z * estimate.error
    return max(0.0, 100 * (estimate.mean - half)), min(100.0, 100 * (estimate.mean + half))


def _turned(pair: Pair, reference: str) -> tuple[str, tuple[float, float, float]]:
    d = pair.difference
    if pair.one == reference:
        return pair.other, (100 * d.mean, 100 * d.low, 100 * d.high)
    return pair.one, (-100 * d.mean, -100 * d.high, -100 * d.low)


def _span(
    intervals: Sequence[tuple[float, float]], *, least: float, within: tuple[float, float] | None = None
) -> tuple[float, float]:
    """A range that holds all intervals with a little room, and is at least so wide."""
    if not intervals:
        return within or (-least, least)
    low, high = min(low for low, _ in intervals), max(high for _, high in intervals)
    room = max((high - low) * 0.06, (least - (high - low)) / 2)
    low, high = low - room, high + room
    return (low, high) if within is None else (max(low, within[0]), min(high, within[1]))


def _round_ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 8)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    few = [10.0**p for p in powers if low <= 10.0**p <= high]
    some = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    return few if len(few) > 2 else some


def _cut(label: str, most: int) -> str:
    return label if len(label) <= most else label[: most - 1] + "\u2026"


def _short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
