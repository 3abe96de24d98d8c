"""``smcs experiment table4``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table4",
    "Table 4: pairwise ranking score of priors: how often the LLM that is right stands before one that is wrong.",
    ("recorded", "live", "paper"),
)
