"""``smcs experiment table1``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table1",
    "Table 1: LLMs, compared systems and SMCS on eight benchmarks.",
    ("live", "paper"),
)
