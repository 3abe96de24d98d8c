"""The command line, one module per subcommand.

A module of this package whose name does not begin with an underscore is a subcommand: it has a click command named
``command``. Such a module imports only click (and `smcs.cli._common`) at its top, and the rest when it runs, so that
``smcs --help`` is quick.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from smcs.errors import SmcsError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")


class Subcommands(click.Group):
    """Commands found as the modules of a package, each imported when it is asked for."""

    package = "smcs.cli"

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the modules that are no helpers."""
        path = importlib.import_module(self.package).__path__
        return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The module's ``command``, or None where there is no such module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{self.package}.{cmd_name}").command
        return command


@click.group(cls=Subcommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="smcs", message="smcs %(version)s")
def root() -> None:
    """Ask a pool of LLMs as if it were one, and get a better answer than any of them gives alone."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status. Errors of ours are one message, never a traceback."""
    try:
        status = root.main(args=arguments, prog_name="smcs", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SmcsError as error:
        click.echo(f"smcs: error: {error}", err=True)
        return error.exit_status
    except (KeyboardInterrupt, click.Abort):
        click.echo("smcs: interrupted", err=True)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; keep Python from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def run_async(main_coroutine: Coroutine[Any, Any, T], loop_factory: Callable[[], AbstractEventLoop] | None = None) -> T:
    """Run a coroutine to its end; Ctrl-C cancels it and lets it clean up."""
    try:
        import asyncio

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main_coroutine)
    finally:
        main_coroutine.close()  # one that Ctrl-C kept from beginning; without effect on one that has ended
