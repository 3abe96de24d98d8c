"""Exhibits as text, Markdown, CSV, LaTeX and JSON, and their figures: on a terminal and in files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from smcs.errors import ConfigError
from smcs.evaluation.tables import Table, aligned, piped, tabular
from smcs.experiments import charts
from smcs.experiments.exhibit import Contrast, Exhibit, Measured, Row

_PAPER = "  as the paper prints it"
READING = (
    "Ours with its standard error over questions, or with its 95% interval; below, in brackets, the paper's figures as "
    "they are printed."
)
_OTHERS = "The paper's figures are of its own fifteen LLMs: with other LLMs, only the order of rows can be compared."


def as_text(exhibit: Exhibit) -> str:
    """The exhibit as plain text."""
    parts = [f"{exhibit.name}: {exhibit.title}", exhibit.setting, aligned(main_table(exhibit))]
    if exhibit.contrasts:
        parts += ["Paired differences (first less second)", aligned(contrasts_table(exhibit))]
    return "\n\n".join([*parts, "\n".join(notes(exhibit))]) + "\n"


def as_markdown(exhibit: Exhibit) -> str:
    """The exhibit as Markdown, under a heading of the second level."""
    parts = [f"## {exhibit.name}: {exhibit.title}", exhibit.setting, piped(main_table(exhibit))]
    if exhibit.contrasts:
        parts += ["Paired differences, the first less the second:", piped(contrasts_table(exhibit))]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes(exhibit))]) + "\n"


def as_csv(exhibit: Exhibit) -> str:
    """One line for each row and column, ours and the paper's in columns of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["group", "row", "column", "ours", "standard_error", "low", "high", "n", "paper"])
    for row in exhibit.rows:
        for column in exhibit.columns:
            ours, paper = row.ours.get(column), row.paper.get(column)
            if ours is not None or paper is not None:
                shown = "" if paper is None else str(paper)
                writer.writerow([row.group, row.label, column, *_csv_cells(ours), shown])
    return out.getvalue()


def as_latex(exhibit: Exhibit) -> str:
    """The exhibit as LaTeX, for the package booktabs."""
    parts = [tabular(main_table(exhibit), f"{exhibit.title}. {exhibit.setting}")]
    if exhibit.contrasts:
        parts.append(tabular(contrasts_table(exhibit), "Paired differences with 95% intervals."))
    return "\n\n".join(parts) + "\n"


def as_json(exhibit: Exhibit) -> str:
    """The exhibit as JSON."""
    return json.dumps(exhibit.to_dict(), indent=2, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[Exhibit], str]] = {
    ".txt": as_text,
    ".md": as_markdown,
    ".csv": as_csv,
    ".tex": as_latex,
    ".json": as_json,
}


def check_output(path: Path, *, chart: bool) -> None:
    """Check that an exhibit can be written here, before any work is done for it.

    Args:
        chart: whether the exhibit has a figure.

    Raises:
        ConfigError: the file's ending says no format that the exhibit has, or there is no such folder.
    """
    known = [*FORMATS, *(charts.FORMATS if chart else ())]
    if path.suffix and not path.is_dir() and path.suffix not in known:
        only = "" if chart or path.suffix not in charts.FORMATS else ": this is a table, and has no figure"
        raise ConfigError(f"--out {path}: the format {path.suffix!r} is not known{only} (known: {', '.join(known)})")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no folder {path.parent}")


def write(exhibit: Exhibit, path: Path) -> list[Path]:
    """Write an exhibit: one file in the format of its ending, or a folder with every format.

    Returns:
        The files.

    Raises:
        ConfigError: it cannot be written.
    """
    if path.suffix and not path.is_dir():
        files = [path]
    else:
        endings = [*FORMATS, *(charts.FORMATS[:2] if exhibit.chart else ())]
        files = [path / f"{exhibit.name.lower().replace(' ', '')}{ending}" for ending in endings]
    try:
        for file in files:
            file.parent.mkdir(exist_ok=True)
            if file.suffix in FORMATS:
                file.write_text(FORMATS[file.suffix](exhibit), encoding="utf-8")
            elif exhibit.chart is not None:
                charts.draw(exhibit.chart, file)
            else:
                raise ConfigError(f"nothing to draw in {file}: there is no result yet")
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror or error}") from None
    return files


def main_table(exhibit: Exhibit) -> Table:
    """Ours, and below each row what the paper prints of it."""
    cells: list[tuple[str, ...]] = []
    group = ""
    for row in exhibit.rows:
        if row.group != group:
            group = row.group
            cells.append((group, *("" for _ in exhibit.columns)))
        cells += _lines_of(row, exhibit)
    return Table(("", *exhibit.columns.values()), tuple(cells))


def contrasts_table(exhibit: Exhibit) -> Table:
    """One line for each paired difference."""
    headings: tuple[str, ...] = ("", "on", "ours", "95% interval", "questions", "")
    with_paper = any(contrast.paper is not None for contrast in exhibit.contrasts)
    if with_paper:
        headings = (*headings, "paper")
    rows = [_contrast_cells(exhibit, contrast, with_paper=with_paper) for contrast in exhibit.contrasts]
    return Table(headings, tuple(rows))


def notes(exhibit: Exhibit) -> list[str]:
    """What a reader has to know, each said once."""
    return list(dict.fromkeys([*exhibit.notes, *reading(exhibit)]))


def reading(exhibit: Exhibit) -> list[str]:
    """How the figures are to be read."""
    if not any(row.paper for row in exhibit.rows):
        return ["Ours with its standard error over questions, or with its 95% interval."] if exhibit.rows else []
    return [READING, *([] if exhibit.source == "paper" else [_OTHERS])]


def _lines_of(row: Row, exhibit: Exhibit) -> list[tuple[str, ...]]:
    lines = []
    if row.ours:
        lines.append((row.label, *(_shown(row.ours.get(c), exhibit.digits.get(c, 1)) for c in exhibit.columns)))
    if row.paper:
        label = _PAPER if row.ours else f"{row.label} (paper)"
        lines.append((label, *(_printed(row.paper.get(c), exhibit.digits.get(c, 1)) for c in exhibit.columns)))
    return lines


def _shown(cell: Measured | str | None, digits: int) -> str:
    if cell is None or isinstance(cell, str):
        return cell or ""
    if math.isnan(cell.value):
        return "-"
    value = f"{cell.value:.{digits}f}"
    if not math.isnan(cell.low):
        return f"{value} ({cell.low:.{digits}f} to {cell.high:.{digits}f})"
    return value if math.isnan(cell.error) else f"{value} ±{cell.error:.{digits}f}"


def _printed(cell: float | str | None, digits: int) -> str:
    if cell is None or isinstance(cell, str):
        return f"[{cell}]" if cell else ""
    return f"[{cell:.{max(digits, 2)}f}]"


def _contrast_cells(exhibit: Exhibit, contrast: Contrast, *, with_paper: bool) -> tuple[str, ...]:
    average = {"Avg": "average"}
    where = exhibit.columns.get(contrast.column, average.get(contrast.column, contrast.column)).partition(" (")[0]
    if math.isnan(contrast.mean):
        cells: tuple[str, ...] = (f"{contrast.one} - {contrast.other}", where, "-", "-", str(contrast.n), "")
    else:
        # Adding 0 makes 0 of a negative one.
        mean, low, high = (f"{round(value, 1) + 0.0:+.1f}" for value in (contrast.mean, contrast.low, contrast.high))
        names = f"{contrast.one} - {contrast.other}"
        cells = (names, where, mean, f"{low} to {high}", str(contrast.n), contrast.verdict)
    if with_paper:
        cells = (*cells, "" if contrast.paper is None else f"[{contrast.paper:+.2f}]")
    return cells


def _csv_cells(cell: Measured | str | None) -> list[str]:
    if cell is None:
        return [""] * 5
    if isinstance(cell, str):
        return [cell, "", "", "", ""]
    low, high = cell.interval
    figures = ["" if math.isnan(value) else repr(float(value)) for value in (cell.value, cell.error, low, high)]
    return [*figures, "" if cell.n is None else str(cell.n)]
