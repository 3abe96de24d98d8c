"""The report as one HTML file that needs nothing else: tables and plots."""

from __future__ import annotations

import dataclasses
from html import escape

from smcs.evaluation.plots import accuracy_plot, cost_plot, differences_plot
from smcs.evaluation.report import Report
from smcs.evaluation.tables import Table, heading, main_table, pairs_table, reading

_STYLE = """
body { font: 15px/1.5 sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: 0.25rem 0.6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #222; }
svg { max-width: 100%; height: auto; display: block; margin: 1.2rem 0; }
summary { cursor: pointer; margin: 0.6rem 0; }
.reading { color: #555; font-size: 0.85rem; }
"""


def as_html(report: Report) -> str:
    """The report as HTML."""
    plots = [accuracy_plot(report)]
    if len(report.benchmarks) > 1:
        plots += [accuracy_plot(report, name) for name in report.benchmarks]
    parts = [
        f"<h1>Comparison of {len(report.rows)} strategies</h1>",
        f"<p>{escape(heading(report))}</p>",
        _table(main_table(report)),
        f'<p class="reading">{escape(reading())}</p>',
        "<h2>Accuracy</h2>",
        *plots,
    ]
    if report.pairs:
        parts += [
            "<h2>Paired differences</h2>",
            differences_plot(report.pairs, report.rows[0].label),
            "<p>In points of per cent, the first less the second, on the questions that both have answered.</p>",
            *_pairs(report),
        ]
    parts += ["<h2>Accuracy and cost</h2>", cost_plot(report)]
    if report.notes:
        parts += ["<h2>Notes</h2>", "<ul>", *(f"<li>{escape(note)}</li>" for note in report.notes), "</ul>"]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>smcs: comparison of strategies</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _pairs(report: Report) -> list[str]:
    """The pairs of the first strategy, and the others to be unfolded."""
    first = report.rows[0].label
    with_first = [pair for pair in report.pairs if first in {pair.one, pair.other}]
    others = [pair for pair in report.pairs if pair not in with_first]
    shown = [
        _table(pairs_table(dataclasses.replace(report, pairs=tuple(pairs)))) for pairs in (with_first, others) if pairs
    ]
    return [
        shown[0],
        *(f"<details><summary>{len(others)} more pairs</summary>\n{table}</details>" for table in shown[1:]),
    ]


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.columns)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'
