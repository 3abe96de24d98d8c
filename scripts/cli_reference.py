"""Write docs/reference/cli.md from the commands' own help, so that the two cannot differ.

python -m scripts.cli_reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from smcs.cli import root

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
WIDTH = 100


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Every command with its help, the groups before what is in them."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                below = click.Context(
                    inner, parent=context, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH
                )
                yield from commands(inner, below)


def reference() -> str:
    """The page."""
    names = ["-h", "--help"]
    context = click.Context(
        root, info_name="smcs", help_option_names=names, max_content_width=WIDTH, terminal_width=WIDTH
    )
    sections = [f"## `{path}`\n\n```text\n{text}\n```\n" for path, text in commands(root, context)]
    status = "Exit status: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.\n"
    return "\n".join(["# Command line\n", "Made by `scripts/cli_reference.py` from `--help`.\n", status, *sections])


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
