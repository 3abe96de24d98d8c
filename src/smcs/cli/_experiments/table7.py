"""``smcs experiment table7``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table7",
    "Table 7: SMCS from three seeds.",
    ("live", "paper"),
)
