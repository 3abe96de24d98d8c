"""Recorded answers on their way into a bank, and a bank's answers on their way out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from smcs.bank import open_bank
from smcs.bank.connect import is_url
from smcs.bank.exporting import check_target, export_questions, export_responses
from smcs.bank.importing import Imported, check_responses, gather_recorded, import_responses
from smcs.bank.questions_file import OnError
from smcs.bank.sources import Gathered
from smcs.cli import run_async
from smcs.cli._bank_questions import add_questions, create_bank
from smcs.errors import BankFormatError, QuestionError


def import_files(
    path: str,
    questions: Sequence[Path],
    responses: Sequence[Path],
    *,
    llms: Sequence[str],
    split: str,
    on_error: OnError,
    pool: Path | None,
    quiet: bool,
) -> None:
    """Import questions, into a new bank where there is none, then answers; say what became of them."""
    for file in responses:  # before questions are embedded, which takes minutes
        check_responses(file)
    wanted = None if split == "all" else split
    if _exists(path):
        with open_bank(path, write=True) as store:
            present = [q.question for q in store.questions()]
            added = gather_recorded(questions, split=wanted, on_error=on_error, present=present)
            run_async(add_questions(store, added, pool, quiet=quiet))
    else:
        added = gather_recorded(questions, split=wanted, on_error=on_error)
        if not added.items:
            where = f"{', '.join(map(str, questions))} holds none" if questions else "name a file of them (--questions)"
            raise QuestionError(f"a new bank needs questions: {where}")
        run_async(create_bank(path, added, pool, overwrite=False, quiet=quiet))
    _report_questions(path, added)
    with open_bank(path, write=True) as store:
        for file in responses:
            _report_responses(file, import_responses(store, file, llms=llms))


def export_files(
    path: str, questions: Path | None, responses: Path | None, *, llms: Sequence[str], split: str, force: bool
) -> None:
    """Write a bank's questions and answers to files."""
    wanted = None if split == "all" else split
    with open_bank(path) as store:
        for file in (questions, responses):
            if file is not None:
                check_target(file, overwrite=force)
        if responses is not None:
            click.echo(f"{responses}: {export_responses(store, responses, split=wanted, llms=llms)} responses")
        if questions is not None:
            click.echo(f"{questions}: {export_questions(store, questions, split=wanted)} questions")


def _exists(path: str) -> bool:
    if not is_url(path):
        return Path(path).exists()
    try:
        open_bank(path).close()
    except BankFormatError:  # a database without a bank
        return False
    return True


def _report_questions(path: str, added: Gathered) -> None:
    for problem in added.skipped:
        click.echo(f"left out: {problem}", err=True)
    there = f", {added.present} were there already" if added.present else ""
    click.echo(f"{path}: {len(added.items)} questions added{there}")


def _report_responses(file: Path, result: Imported) -> None:
    click.echo(f"{file}: {result.stored} responses stored")
    notes = {
        f"{result.present} left out: the bank has a response there already": result.present,
        f"{result.without} without a response: not observed": result.without,
        f"{result.unknown} left out: the bank does not have their questions": result.unknown,
        f"{result.ungraded} without a grade: smcs bank grade gives them one": result.ungraded,
    }
    for note, count in notes.items():
        if count:
            click.echo(f"  {note}")
