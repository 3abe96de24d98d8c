"""Table 1: LLMs, compared systems and SMCS at 8,192 tokens."""

from __future__ import annotations

from collections.abc import Sequence

from smcs.experiments import main_table
from smcs.experiments.called import Arm, Made, Setting
from smcs.experiments.exhibit import Exhibit

BENCHMARKS = main_table.BENCHMARKS


def arms(setting: Setting) -> list[Arm]:
    """All on one pool and bank."""
    return [Arm(main_table.strategies(setting.llms, tuple(main_table.SYSTEMS)))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """The table."""
    title = "accuracy of LLMs, compared systems and SMCS, per cent (8,192 tokens in the paper)"
    return await main_table.main_table(1, title, made[0], setting, main_table.SYSTEMS)
