"""``smcs experiment table6``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table6",
    "Table 6: LLMs and SMCS at 32,768 tokens, another LLM aggregating code.",
    ("live", "paper"),
)
