"""``smcs experiment table2``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table2",
    "Table 2: accuracy, cost and latency of systems.",
    ("live", "paper"),
)
