"""Running a table or figure from the command line: from its source to a table on the terminal and files."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from smcs.cli import run_async
from smcs.errors import ConfigError
from smcs.experiments import rendering
from smcs.experiments.exhibit import Exhibit, Source

_DRAWS = 10


def run_exhibit(
    name: str, sources: Sequence[str], *, source: Source, out: Path | None, as_json: bool, **options: Any
) -> int:
    """Make an exhibit, print it and write it. Returns the exit status: 1 where answers are missing."""
    check_source(name, source, sources)
    if out is not None:
        rendering.check_output(out, chart=name.startswith("figure"))
    if source == "recorded":
        check_recorded(options)
        exhibit, status = _recorded(name, options), 0
    else:
        from smcs.cli import _experiment_live as live

        if options["dry_run"]:
            live.dry_run(name, source, options, as_json=as_json)
            return 0
        exhibit, status = live.run(name, source, options, quiet=options["quiet"] or as_json)
    show(exhibit, out, as_json=as_json)
    return status


def check_source(name: str, source: str, sources: Sequence[str]) -> None:
    """Refuse a source that makes no sense for a table, and say what would.

    Raises:
        ConfigError: it does not.
    """
    if source in sources:
        return
    title = title_of(name)
    if source == "recorded":
        raise ConfigError(
            f"{title} needs calls, and recorded answers allow none: use --source {' or --source '.join(sources)}; what "
            f"selection and voting make of recorded answers is in table3, table4, figure4 and smcs experiment recorded"
        )
    raise ConfigError(f"{title} has no source {source!r}: use --source {' or --source '.join(sources)}")


def title_of(name: str) -> str:
    """``Table 3`` for ``table3``."""
    return f"{name[:-1].capitalize()} {name[-1]}"


def show(exhibit: Exhibit, out: Path | None, *, as_json: bool) -> None:
    """Print an exhibit, and write it where that is asked for."""
    written = rendering.write(exhibit, out) if out is not None else []
    click.echo(rendering.as_json(exhibit) if as_json else rendering.as_text(exhibit), nl=False)
    for file in written:
        click.echo(f"written: {file}", err=True)


def check_recorded(options: dict[str, Any]) -> None:
    """Refuse what recorded answers cannot be asked for.

    Raises:
        ConfigError: there is no folder of them, or an option is for calls.
    """
    if options["data"] is None:
        raise ConfigError("recorded answers are read from a folder: name it with --data (it holds recorded/)")
    for option in ("dry_run", "pool", "bank", "budget_usd", "budget_tokens"):
        if options[option]:
            raise ConfigError(
                f"--{option.replace('_', '-')} is for calls, and recorded answers need none: leave it out, or use "
                f"--source live"
            )


def _recorded(name: str, options: dict[str, Any]) -> Exhibit:
    from smcs.experiments.replayed import read_replayed

    module = importlib.import_module(f"smcs.experiments.{name}")

    def report(done: int, total: int) -> None:
        if not options["quiet"]:
            click.echo(f"embedded {done} of {total} questions", err=True)

    if hasattr(module, "from_data"):
        made: Exhibit = run_async(
            module.from_data(options["data"], options["embedder"], limit=options["limit"], report=report)
        )
        return made
    drawn = {"k": options["k"], "seed": options["seed"], "draws": options["draws"] or _DRAWS}
    replayed = run_async(read_replayed(options["data"], options["embedder"], **drawn, report=report))
    if not options["quiet"]:
        click.echo("replaying: up to a few minutes", err=True)
    exhibit: Exhibit = module.from_recorded(replayed)
    return exhibit
