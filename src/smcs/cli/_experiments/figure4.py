"""``smcs experiment figure4``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "figure4",
    "Figure 4: accuracy against the number of LLMs in the pool.",
    ("recorded", "live", "paper"),
)
