"""``smcs experiment table5``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table5",
    "Table 5: the LLMs of the pool, beside the paper's.",
    ("recorded", "live", "paper"),
)
