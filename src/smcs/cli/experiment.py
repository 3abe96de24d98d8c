"""``smcs experiment``: the paper's tables and figures, and studies of our own."""

from __future__ import annotations

import click

from smcs.cli import Subcommands


class _Experiments(Subcommands):
    package = "smcs.cli._experiments"


@click.group(cls=_Experiments)
def command() -> None:
    """Studies: the paper's tables and figures, and selection and voting on recorded answers."""
