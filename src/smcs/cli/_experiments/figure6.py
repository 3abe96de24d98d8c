"""``smcs experiment figure6``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "figure6",
    "Figure 6: how often some aggregation is correct, by how references are dropped.",
    ("live", "paper"),
)
