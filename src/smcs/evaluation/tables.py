"""Reports as tables: text, Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from smcs.evaluation.report import Pair, Report
from smcs.evaluation.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of cells; the first column is text, the others are figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def main_table(report: Report) -> Table:
    """One row a strategy: accuracy in per cent with its standard error, then what an answer takes on average."""
    averaged = len(report.benchmarks) > 1
    columns = [
        "strategy",
        *(f"{name} ({count})" for name, count in report.benchmarks.items()),
        *(["average"] if averaged else []),
        "answers",
        "calls",
        "tokens",
        "cost, USD",
        "latency, s",
        "p95, s",
    ]
    rows = [
        (
            row.label,
            *(percent(row.benchmarks[name]) for name in report.benchmarks),
            *([percent(row.average)] if averaged else []),
            str(row.answers),
            number(row.calls, 1),
            number(row.tokens, 0),
            "unknown" if row.cost_usd is None else number(row.cost_usd, 6),
            number(row.latency_mean_s, 2),
            number(row.latency_p95_s, 2),
        )
        for row in report.rows
    ]
    return Table(tuple(columns), tuple(rows))


def pairs_table(report: Report) -> Table:
    """One row a pair: the difference in points of per cent with its 95% interval."""
    columns = ("strategies", "difference", "95% interval", "questions", "")
    return Table(columns, tuple(_pair_cells(pair) for pair in report.pairs))


def as_text(report: Report, most_pairs: int | None = None) -> str:
    """The report as plain text.

    Args:
        most_pairs: where there are more pairs than this, only those of the first strategy are shown.
    """
    parts = [heading(report), aligned(main_table(report))]
    shown = report
    if most_pairs is not None and len(report.pairs) > most_pairs:
        first = report.rows[0].label
        shown = dataclasses.replace(report, pairs=tuple(pair for pair in report.pairs if pair.one == first))
    if report.pairs:
        parts += ["Paired differences, in points of per cent (first less second)", aligned(pairs_table(shown))]
    if len(shown.pairs) < len(report.pairs):
        parts.append(f"{len(report.pairs) - len(shown.pairs)} more pairs are in the report (--out, --json).")
    return "\n\n".join([*parts, *(["\n".join(report.notes)] if report.notes else []), reading()]) + "\n"


def as_markdown(report: Report) -> str:
    """The report as Markdown."""
    parts = [f"# Comparison of {len(report.rows)} strategies", heading(report), piped(main_table(report))]
    if report.pairs:
        parts += [
            "## Paired differences",
            "In points of per cent, the first less the second.",
            piped(pairs_table(report)),
        ]
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in report.notes)]
    return "\n\n".join([*parts, reading()]) + "\n"


def as_csv(report: Report) -> str:
    """The main table as CSV: one row for each strategy and benchmark, figures in full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = ("calls", "prompt_tokens", "completion_tokens", "cost_usd", "latency_mean_s", "latency_p95_s")
    counts = ("answers", "failed", "not_graded", "incomplete")
    writer.writerow(["strategy", "benchmark", "accuracy", "standard_error", "questions", *counts, *fields])
    for row in report.rows:
        parts = {**row.benchmarks, **({"average": row.average} if len(row.benchmarks) > 1 else {})}
        for name, estimate in parts.items():
            figures = [_plain(getattr(row, field)) for field in fields]
            numbers = [str(getattr(row, count)) for count in counts]
            head = [row.label, name, _plain(estimate.mean), _plain(estimate.error), str(estimate.questions)]
            writer.writerow([*head, *numbers, *figures])
    return out.getvalue()


def pairs_as_csv(report: Report) -> str:
    """The pairs as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["one", "other", "difference", "low", "high", "questions"])
    for pair in report.pairs:
        d = pair.difference
        writer.writerow([pair.one, pair.other, _plain(d.mean), _plain(d.low), _plain(d.high), d.questions])
    return out.getvalue()


def as_latex(report: Report) -> str:
    """Both tables as LaTeX, for the package booktabs."""
    parts = [tabular(main_table(report), heading(report))]
    if report.pairs:
        parts.append(tabular(pairs_table(report), "Paired differences in points of per cent, with 95% intervals."))
    return "\n\n".join(parts) + "\n"


def percent(estimate: Estimate) -> str:
    """An accuracy in per cent with its standard error."""
    if math.isnan(estimate.mean):
        return "-"
    error = "" if math.isnan(estimate.error) else f" ±{100 * estimate.error:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def number(value: float, digits: int) -> str:
    """A figure; a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _pair_cells(pair: Pair) -> tuple[str, ...]:
    d = pair.difference
    if math.isnan(d.mean):
        return (f"{pair.one} - {pair.other}", "-", "-", str(d.questions), "")
    interval = f"{100 * d.low:+.1f} to {100 * d.high:+.1f}"
    verdict = "" if not d.clear else "first is better" if d.mean > 0 else "second is better"
    return (f"{pair.one} - {pair.other}", f"{100 * d.mean:+.1f}", interval, str(d.questions), verdict)


def heading(report: Report) -> str:
    """What was compared, in one sentence."""
    questions = sum(report.benchmarks.values())
    seeds = "1 seed" if report.seeds == 1 else f"{report.seeds} seeds"
    bank = f", question bank {report.bank}" if report.bank else ""
    return (
        f"{questions} questions of {', '.join(report.benchmarks)}, {seeds}, "
        f"{len(report.pool)} LLMs ({', '.join(report.pool)}){bank}."
    )


def reading() -> str:
    """How the figures are to be read."""
    return (
        "Accuracy in per cent with its standard error over questions. Calls, tokens, cost and latency are means of one "
        "answer, as if its strategy had run alone; latency is the longest chain of an answer's calls, each at what it "
        "took, without waiting for a free place. Intervals: bootstrap over questions, clustered over seeds."
    )


def aligned(table: Table) -> str:
    """A table as plain text, its columns under each other."""
    widths = [max(len(row[i]) for row in (table.columns, *table.rows)) for i in range(len(table.columns))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return "  ".join(padded).rstrip()

    return "\n".join([line(table.columns), line(["-" * w for w in widths]), *(line(row) for row in table.rows)])


def piped(table: Table) -> str:
    """A table as Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = ["---", *("---:" for _ in table.columns[1:])]
    return "\n".join([line(table.columns), line(rule), *(line(row) for row in table.rows)])


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}


def tabular(table: Table, caption: str) -> str:
    """A table as LaTeX, for the package booktabs."""

    def text(cell: str) -> str:
        return "".join(_LATEX.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in cell)

    def line(cells: Sequence[str]) -> str:
        return "  " + " & ".join(text(cell) for cell in cells) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{text(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            line(table.columns),
            r"\midrule",
            *(line(row) for row in table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _plain(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(float(value))
