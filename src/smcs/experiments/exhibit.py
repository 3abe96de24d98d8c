"""An exhibit: one of the paper's tables or figures, with what is measured here beside what is printed there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from smcs.experiments.charts import Chart

Source: TypeAlias = Literal["recorded", "live", "paper"]
"""Where our figures come from: recorded answers of LLMs, a pool at hand, or the paper's own pool."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of ours, in the unit in which it is shown.

    Attributes:
        error: its standard error.
        n: of how many questions.
        low: lower end of its 95% interval, where that is not from the standard error.
        high: upper end.
    """

    value: float
    error: float = math.nan
    n: int | None = None
    low: float = math.nan
    high: float = math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval; nan where nothing is known of it."""
        if not math.isnan(self.low):
            return self.low, self.high
        return self.value - 1.96 * self.error, self.value + 1.96 * self.error


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a system, a setting.

    Attributes:
        ours: what was measured, by column.
        paper: what the paper prints, by column.
        group: heading of a block of rows.
    """

    label: str
    ours: Mapping[str, Measured | str] = field(default_factory=dict)
    paper: Mapping[str, float | str] = field(default_factory=dict)
    group: str = ""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One row less another on the same questions, with its 95% interval.

    Attributes:
        column: on which benchmark.
        paper: the same difference of the paper's printed figures; None where it has none.
    """

    one: str
    other: str
    column: str
    mean: float
    low: float
    high: float
    n: int
    paper: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the interval leaves out 0, and for whom it speaks."""
        if math.isnan(self.mean) or self.low <= 0 <= self.high:
            return ""
        return "first is better" if self.mean > 0 else "second is better"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A table or figure.

    Attributes:
        name: such as ``Table 3``.
        title: what it shows.
        source: where our figures come from.
        setting: what was measured, in one sentence: LLMs, questions, bank.
        columns: headings by column, in order.
        digits: decimals by column; 1 where not named.
        contrasts: paired differences that the exhibit is about.
        notes: what a reader has to know.
        chart: the figure.
        data: further numbers for the JSON form.
    """

    name: str
    title: str
    source: Source
    setting: str
    columns: Mapping[str, str]
    rows: Sequence[Row]
    digits: Mapping[str, int] = field(default_factory=dict)
    contrasts: Sequence[Contrast] = ()
    notes: Sequence[str] = ()
    chart: Chart | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def with_notes(self, *notes: str) -> Exhibit:
        """The same with more notes."""
        return dataclasses.replace(self, notes=(*self.notes, *notes))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form. What the paper prints stands under ``paper`` and nowhere else."""
        rows = [
            {
                "label": row.label,
                **({"group": row.group} if row.group else {}),
                "ours": {column: _measured_to_dict(cell) for column, cell in row.ours.items()},
                "paper": dict(row.paper),
            }
            for row in self.rows
        ]
        made = {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "setting": self.setting,
            "columns": dict(self.columns),
            "rows": rows,
            "contrasts": [dataclasses.asdict(contrast) for contrast in self.contrasts],
            "notes": list(self.notes),
            **({"data": dict(self.data)} if self.data else {}),
        }
        return {key: without_nan(value) for key, value in made.items()}


def without_nan(value: Any) -> Any:
    """A JSON value with null for what is not a number."""
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _measured_to_dict(cell: Measured | str) -> Any:
    if isinstance(cell, str):
        return cell
    low, high = cell.interval
    return {"value": cell.value, "standard_error": cell.error, "n": cell.n, "low": low, "high": high}
