"""``smcs experiment figure5``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "figure5",
    "Figure 5: from which benchmarks support questions come.",
    ("recorded", "live", "paper"),
)
