"""Table 2: what accuracy costs, in money and time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from smcs.experiments import main_table
from smcs.experiments.called import Arm, Made, Setting, measured
from smcs.experiments.exhibit import Exhibit, Measured, Row
from smcs.experiments.printed import printed

BENCHMARKS = main_table.BENCHMARKS
CONCURRENCY = 1
_SYSTEMS = {
    "moa": "MoA",
    "self-moa:aggregated_by=aggregator": "Self-MoA",
    "symbolic-moe:variant=compared": "Symbolic-MoE",
    "self-consistency": "Self-Consistency (best on validation)",
    "smcs": "SMCS",
}


def arms(setting: Setting) -> list[Arm]:
    """The systems, and the LLM that is best over the whole bank."""
    return [Arm(("single", *_SYSTEMS))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """Accuracy, cost of all tested questions, and latency of one."""
    one = made[0]
    rows = [Row("single (best over the bank)", _cells(one, "single"))]
    paper = {row.label: row.values for row in printed(2)}
    rows += [Row(label, _cells(one, label), paper.pop(name, {})) for label, name in _SYSTEMS.items()]
    rows += [Row(name, paper=values) for name, values in paper.items()]
    columns = {
        "avg_accuracy": "accuracy, %",
        "cost_usd": "cost, USD",
        "avg_latency_s": "latency, s",
        "p95": "p95, s",
        "calls": "calls",
        "tokens": "tokens",
    }
    return Exhibit(
        "Table 2", "accuracy, cost and latency", setting.source, setting.described(one.comparison), columns, rows,
        digits={"cost_usd": 4, "avg_latency_s": 2, "p95": 2, "tokens": 0},
        contrasts=one.contrasts("smcs", [label for label in (*_SYSTEMS, "single") if label != "smcs"]),
        notes=[
            "Cost is of all answers to the tested questions, each as if its system had run alone; calls and tokens are "
            "means of one answer.",
            "Latency is the longest chain of an answer's calls, each at what it took when it was made. Calls made "
            "while others run take longer on the same hardware: --concurrency is 1 here unless named, and a table from "
            "a results file of another run has that run's.",
            *one.report.notes,
        ],
    )  # fmt: skip


def _cells(made: Made, label: str) -> dict[str, Measured | str]:
    row = made.row(label)
    estimate = row.average if len(row.benchmarks) > 1 else next(iter(row.benchmarks.values()))
    cost: Measured | str = "unknown" if row.cost_usd is None else Measured(row.cost_usd * row.answers, n=row.answers)
    return {
        "avg_accuracy": measured(estimate),
        "cost_usd": cost if row.answers else Measured(math.nan),
        "avg_latency_s": Measured(row.latency_mean_s, n=row.answers),
        "p95": Measured(row.latency_p95_s, n=row.answers),
        "calls": Measured(row.calls, n=row.answers),
        "tokens": Measured(row.tokens, n=row.answers),
    }
