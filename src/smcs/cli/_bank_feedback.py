"""From feedback on a server's answers to questions of a bank."""

from __future__ import annotations

import json
from pathlib import Path

import click

from smcs.bank import open_bank
from smcs.bank.sources import Gathered
from smcs.cli import run_async
from smcs.cli._bank_questions import add_questions
from smcs.server.feedback import Turned, as_line, turn_into_questions
from smcs.server.trace_file import TraceFile, default_path


def add_feedback(
    path: str,
    traces: Path | None,
    pool: Path | None,
    *,
    grader: str | None,
    benchmark: str,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Add what feedback gives to a bank, or only print it."""
    file = TraceFile.open(traces or default_path(), write=False)
    try:
        with open_bank(path, write=not dry_run) as store:
            present = [stored.question for stored in store.questions()]
            turned = turn_into_questions(file.feedback(), file.get, present=present, grader=grader, benchmark=benchmark)
            _say_skipped(turned)
            if dry_run:
                for question in turned.questions:
                    click.echo(json.dumps(as_line(question), ensure_ascii=False))
                return
            items = tuple((question, "validation") for question in turned.questions)
            run_async(add_questions(store, Gathered(items), pool, quiet=quiet))
    finally:
        file.close()
    skipped = f", {len(turned.skipped)} left out" if turned.skipped else ""
    click.echo(f"{path}: {len(items)} questions added{skipped}")
    if items:
        click.echo(f"next: smcs bank evaluate {path}")


def _say_skipped(turned: Turned) -> None:
    for trace_id, why in turned.skipped.items():
        click.echo(f"left out: {trace_id}: {why}", err=True)
