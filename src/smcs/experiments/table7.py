"""Table 7: how much the seed matters: SMCS from three seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smcs.evaluation.statistics import accuracy
from smcs.experiments.called import Arm, Made, Setting, measured
from smcs.experiments.exhibit import Exhibit, Measured, Row
from smcs.experiments.printed import BENCHMARKS as NAMES
from smcs.experiments.printed import printed

BENCHMARKS = ("livecodebench", "mmlu_pro", "gpqa_diamond", "medmcqa")


def arms(setting: Setting) -> list[Arm]:
    """SMCS alone."""
    return [Arm(("smcs",), seeds=3)]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """Mean and standard deviation over seeds, and each seed's accuracy."""
    one = made[0]
    seeds = one.comparison.seeds
    paper = {NAMES.get(row.label, row.label): row.values for row in printed(7)}
    rows = []
    for name, grades in (await one.grades("smcs")).items():
        each = [accuracy(grades[:, [seed]]) for seed in range(seeds)]
        means = np.array([100 * estimate.mean for estimate in each])
        spread = float(means.std(ddof=1)) if seeds > 1 else float("nan")
        cells = {"mean": measured(accuracy(grades)), "std": Measured(spread, n=seeds)}
        cells |= {f"seed {seed}": measured(estimate) for seed, estimate in enumerate(each)}
        rows.append(Row(name, cells, paper.pop(name, {})))
    rows += [Row(name, paper=values) for name, values in paper.items()]
    columns = {"mean": "mean", "std": "standard deviation", **{f"seed {s}": f"seed {s}" for s in range(seeds)}}
    return Exhibit(
        "Table 7", f"SMCS from {seeds} seeds, accuracy in per cent", setting.source,
        setting.described(one.comparison), columns, rows, digits={"std": 2},
        notes=[
            "The standard deviation is over seeds on the same questions; the standard error is over questions, and is "
            "the larger part of what another set of questions would change.",
            *one.report.notes,
        ],
    )  # fmt: skip
