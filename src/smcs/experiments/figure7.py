"""Figure 7: which LLM aggregates best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from smcs.errors import ConfigError
from smcs.evaluation.colours import colour_of
from smcs.experiments.called import Arm, Made, Setting, columns_of
from smcs.experiments.charts import Bars, Chart, Series
from smcs.experiments.exhibit import Exhibit, Row
from smcs.registry import did_you_mean

BENCHMARKS = ("math500", "mbpp", "gpqa_diamond", "mmlu_pro", "medmcqa")
PAPER_SHOWS = "The paper's Figure 7 is a plot without numbers: of six LLMs, Llama-3.3-70B-Instruct aggregates best."


def arms(setting: Setting) -> list[Arm]:
    """SMCS with each LLM as the aggregator; the references are the same.

    Raises:
        ConfigError: an aggregator that is named is not in the pool, or none gives what is needed.
    """
    return [Arm(tuple(f"smcs:aggregator={name}" for name in _aggregators(setting)))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """A row for each aggregator."""
    one, names = made[0], _aggregators(setting)
    rows = [Row(name, one.cells(f"smcs:aggregator={name}")) for name in names]
    groups = [*one.report.benchmarks, *(["Avg"] if len(one.report.benchmarks) > 1 else [])]
    series = [
        Series(
            row.label, colour_of(f"single:llm={row.label}"), ["average" if g == "Avg" else g for g in groups],
            [0.0 if math.isnan(cells[g].value) else cells[g].value for g in groups],
            [0.0 if math.isnan(cells[g].error) else 1.96 * cells[g].error for g in groups],
        )
        for row in rows
        for cells in [one.cells(f"smcs:aggregator={row.label}")]
    ]  # fmt: skip
    best = max(names, key=lambda name: one.row(f"smcs:aggregator={name}").average.mean)
    others = [f"smcs:aggregator={name}" for name in names if name != best]
    return Exhibit(
        "Figure 7", "accuracy of SMCS by aggregator, per cent", setting.source, setting.described(one.comparison),
        columns_of(one, ()), rows, contrasts=one.contrasts(f"smcs:aggregator={best}", others),
        notes=[
            PAPER_SHOWS,
            "The best aggregator was found on these questions: its lead is too large by what chance gave it.",
            *one.report.notes,
        ],
        chart=Chart(
            "Accuracy of SMCS by aggregator", [Bars("", series, "accuracy, per cent")],
            "Bars: 95% interval over questions.",
        ),
    )  # fmt: skip


def _aggregators(setting: Setting) -> list[str]:
    named = [name for part in setting.options.get("aggregators", ()) for name in part.split(",") if name]
    for name in named:
        if name not in setting.llms:
            raise ConfigError(f"the pool has no LLM {name!r}{did_you_mean(name, setting.llms)}")
    if named:
        return named
    needed = setting.parts.method.needs_logprobs
    return [name for name in setting.llms if not needed or setting.parts.pool[name].info.logprobs is not False]
