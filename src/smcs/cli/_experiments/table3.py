"""``smcs experiment table3``."""

from __future__ import annotations

import click

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "table3",
    "Table 3: by what bank LLMs are selected: one benchmark's questions, all, or none (at random).",
    ("recorded", "live", "paper"),
    extra=[click.option("--only-bank", metavar="BENCHMARK", help="live: the benchmark whose questions stand alone.")],
)
