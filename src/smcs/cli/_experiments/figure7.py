"""``smcs experiment figure7``."""

from __future__ import annotations

import click

from smcs.cli._experiment_options import exhibit_command

command = exhibit_command(
    "figure7",
    "Figure 7: accuracy of SMCS by aggregator.",
    ("live", "paper"),
    extra=[click.option("--aggregator", "aggregators", multiple=True, metavar="LLM[,LLM...]", help="Only these LLMs.")],
)
