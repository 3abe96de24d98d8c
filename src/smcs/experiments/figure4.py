"""Figure 4: accuracy against the number of LLMs in the pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smcs.evaluation.colours import colour_of
from smcs.experiments.called import Arm, Made, Setting, columns_of, require_several
from smcs.experiments.charts import Chart, Lines, Series
from smcs.experiments.exhibit import Exhibit, Measured, Row
from smcs.experiments.recorded import Plan, by_pool_size
from smcs.experiments.replayed import Replayed
from smcs.strategies._aggregator import choose_aggregator

BENCHMARKS = ("mmlu_pro",)
TITLE = "accuracy against the size of the pool, per cent"
_STRATEGIES = {
    "weighted-k": "weighted vote of the K retrieved",
    "majority-k": "majority of the K retrieved",
    "majority": "majority of all",
    "retrieval-top1": "the one retrieved first",
    "best-single": "best single LLM of the bank",
}
PRINTED = {5: 77.0, 10: 80.0, 15: 82.0}
"""The paper's SMCS on MMLU-Pro, read off its plot: about 77, nearly 80 and about 82."""


def from_recorded(replayed: Replayed) -> Exhibit:
    """Random pools of every size from 3 on; the mean over the draws, with their spread."""
    plan = Plan(k=replayed.k, strategies=tuple(_STRATEGIES), seed=replayed.seed, draws=replayed.draws)
    found = [row for group in replayed.groups for row in by_pool_size(group, plan)]
    sizes = sorted({row["llms"] for row in found})
    by_benchmark: dict[str, dict[int, Any]] = {}
    for row in found:
        by_benchmark.setdefault(row["benchmark"], {})[row["llms"]] = row["strategies"]
    rows = [
        Row(
            f"{size} LLMs",
            {name: _cell(at[size][strategy]) for name, at in by_benchmark.items() if size in at},
            _printed(strategy == "weighted-k", size),
            heading,
        )
        for strategy, heading in _STRATEGIES.items()
        for size in sizes
    ]
    columns = {**replayed.columns, "printed": "MMLU-Pro, SMCS"}
    return Exhibit(
        "Figure 4", TITLE, "recorded", replayed.setting, columns, rows,
        notes=[
            f"Of each size {replayed.draws} random pools (the whole pool once); ± is the standard deviation over pools "
            "and, of the whole pool, the standard error over questions.",
            "The paper's figures are read off its plot, which prints no numbers, and are of SMCS with aggregations.",
        ],
        chart=chart_of({name: _series(at) for name, at in by_benchmark.items()}, "LLMs in the pool"),
    )  # fmt: skip


def chart_of(panels: Mapping[str, Sequence[Series]], x_label: str) -> Chart:
    """Lines over the size of the pool, a panel for each benchmark."""
    return Chart(
        "Accuracy against the size of the pool",
        [Lines(name, series, x_label, "accuracy, per cent") for name, series in panels.items()],
        "Bars: standard deviation over random pools of a size; for the whole pool, standard error over questions.",
    )


def _printed(ours: bool, size: int) -> dict[str, float | str]:
    return {"printed": PRINTED[size]} if ours and size in PRINTED else {}


def _series(at: Mapping[int, Any]) -> list[Series]:
    made = []
    for strategy, label in _STRATEGIES.items():
        cells = {size: _cell(found[strategy]) for size, found in at.items()}
        errors = [0.0 if math.isnan(cell.error) else cell.error for cell in cells.values()]
        made.append(Series(label, colour_of(strategy), list(cells), [c.value for c in cells.values()], errors))
    return made


def _cell(found: Mapping[str, Any]) -> Measured:
    spread = found["standard_deviation"] if found["standard_deviation"] is not None else found["standard_error"]
    return Measured(100 * found["accuracy"], 100 * spread, found["n"])


def arms(setting: Setting) -> list[Arm]:
    """SMCS and a majority vote on random pools of growing size; the aggregator is in all of them.

    Raises:
        ConfigError: the pool has fewer than three LLMs.
    """
    require_several(setting.llms, 3, "Figure 4")
    aggregator = _aggregator(setting)
    others = [name for name in setting.llms if name != aggregator]
    made = []
    for draw in range(_draws(setting)):
        order = np.random.default_rng([setting.seed, draw]).permutation(len(others))
        for size in _sizes(setting):
            chosen = {aggregator, *(others[i] for i in order[: size - 1])}
            if size < len(setting.llms) or draw == 0:
                pool = tuple(name for name in setting.llms if name in chosen)
                spec = f"smcs:k={min(setting.k, size)}:aggregator={aggregator}"
                made.append(Arm((spec, "majority", "single"), name=f"{size} LLMs", llms=pool))
    return made


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """A row for each size, the mean over its pools."""
    labels = {"smcs": "SMCS", "majority": "majority of all", "single": "best single LLM of the bank"}
    benchmarks = list(made[0].report.benchmarks)
    at: dict[str, dict[int, dict[str, Measured]]] = {name: {} for name in labels}
    for size in _sizes(setting):
        of_size = [one for one in made if len(one.arm.llms) == size]
        for name in labels:
            cells = [one.cells(next(label for label in one.labels if label.startswith(name))) for one in of_size]
            at[name][size] = {b: _over_pools([cell[b] for cell in cells]) for b in benchmarks}
    rows = [
        Row(
            f"{size} LLMs",
            cells,
            _printed(name == "smcs", size),
            labels[name],
        )
        for name, by_size in at.items()
        for size, cells in by_size.items()
    ]
    panels = {
        b: [
            Series(
                labels[name], colour_of(name), list(by_size), [cells[b].value for cells in by_size.values()],
                [0.0 if math.isnan(cells[b].error) else cells[b].error for cells in by_size.values()],
            )
            for name, by_size in at.items()
        ]
        for b in benchmarks
    }  # fmt: skip
    columns = {**columns_of(made[0], ()), "printed": "mmlu_pro, SMCS"}
    columns.pop("Avg", None)
    return Exhibit(
        "Figure 4", TITLE, setting.source, setting.described(made[0].comparison), columns, rows,
        notes=[
            f"Of each size {_draws(setting)} random pools (--draws) that hold the aggregator {_aggregator(setting)}, "
            "each within the next larger one; ± is their standard deviation, of one pool the standard error.",
            "The paper's figures are read off its plot, which prints no numbers.",
            *{note: None for one in made for note in one.report.notes},
        ],
        chart=chart_of(panels, "LLMs in the pool"),
    )  # fmt: skip


def _sizes(setting: Setting) -> list[int]:
    """Steps of five where the pool has fifteen LLMs, as in the paper; smaller ones in a smaller pool."""
    count = len(setting.llms)
    step = max(1, round(count / 3))
    return sorted({*range(max(step, 2), count, step), count})


def _draws(setting: Setting) -> int:
    return int(setting.options.get("draws") or 1)


def _aggregator(setting: Setting) -> str:
    method = setting.parts.method
    bank = setting.parts.bank.select(setting.llms)
    return choose_aggregator(setting.parts.pool, bank, method, logprobs=method.needs_logprobs)


def _over_pools(cells: Sequence[Measured]) -> Measured:
    if len(cells) == 1:
        return cells[0]
    values = np.array([cell.value for cell in cells])
    return Measured(float(values.mean()), float(values.std(ddof=1)), cells[0].n)
