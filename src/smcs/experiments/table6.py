"""Table 6: LLMs and SMCS at 32,768 tokens, where another LLM aggregates code."""

from __future__ import annotations

from collections.abc import Sequence

from smcs.experiments import main_table
from smcs.experiments.called import Arm, Made, Setting
from smcs.experiments.exhibit import Exhibit

BENCHMARKS = main_table.BENCHMARKS
TOKENS = 32_768


def arms(setting: Setting) -> list[Arm]:
    """All on one pool and bank."""
    return [Arm(main_table.strategies(setting.llms, ()))]


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """The table."""
    title = "accuracy of LLMs and SMCS, per cent (32,768 tokens in the paper)"
    return await main_table.main_table(6, title, made[0], setting, {})
