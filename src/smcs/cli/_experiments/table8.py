"""``smcs experiment table8``."""

from __future__ import annotations

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table8",
    "Table 8: components of SMCS added one after the other.",
    ("live", "paper"),
)
