"""Table 5: the LLMs of the pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smcs.core.measures import accuracy_with_error
from smcs.experiments.called import Arm, Made, Setting
from smcs.experiments.exhibit import Exhibit, Measured, Row
from smcs.experiments.printed import PrintedRow, printed, row_of, same_llm
from smcs.experiments.replayed import Replayed

_COLUMNS = {
    "size": "size",
    "type": "type",
    "model": "model",
    "context": "context",
    "accuracy": "accuracy in the bank, %",
}


def from_recorded(replayed: Replayed) -> Exhibit:
    """The LLMs whose answers are recorded, with their accuracy on the bank's questions."""
    rows = []
    for group in replayed.groups:
        for name in group.strongest_first():
            i = group.recorded.llms.index(name)
            seen = group.bank[group.recorded.observed[i][group.bank]]
            mean, error = accuracy_with_error(group.recorded.correct[i][seen])
            accuracy = Measured(100 * mean, 100 * error, len(seen))
            rows.append(Row(name, {"accuracy": accuracy}, _printed(row_of(5, name)), "+".join(group.benchmarks)))
    return Exhibit(
        "Table 5", "LLMs", "recorded", replayed.setting, _COLUMNS, [*rows, *_others([r.label for r in rows])]
    )


def arms(setting: Setting) -> list[Arm]:
    """None: nothing is called."""
    return []


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """The LLMs of the pool, with their accuracy in the bank."""
    bank = setting.parts.bank.select(setting.llms)
    rows = []
    for i, llm in enumerate(setting.parts.pool):
        seen = bank.observed[i]
        mean, error = accuracy_with_error(bank.capability[i][seen])
        cells: dict[str, Measured | str] = {
            "model": llm.info.model,
            "context": str(llm.info.context_length or "unknown"),
            "accuracy": Measured(100 * mean, 100 * error, int(seen.sum())) if seen.any() else "not evaluated",
        }
        rows.append(Row(llm.name, cells, _printed(row_of(5, llm.name))))
    said = (
        f"Bank {setting.bank} of {len(bank)} questions, of which {int(np.any(bank.observed, axis=0).sum())} were asked."
    )
    return Exhibit("Table 5", "LLMs", setting.source, said, _COLUMNS, [*rows, *_others(setting.llms)])


def _printed(row: PrintedRow | None) -> dict[str, float | str]:
    return dict(row.texts) if row else {}


def _others(names: Sequence[str]) -> list[Row]:
    """The paper's LLMs that are not at hand."""
    ours = {same_llm(name) for name in names}
    return [
        Row(row.label, paper=_printed(row), group="of the paper")
        for row in printed(5)
        if same_llm(row.label) not in ours
    ]
