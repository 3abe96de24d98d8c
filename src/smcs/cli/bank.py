"""``smcs bank``: make a question bank, evaluate LLMs on it, look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smcs.cli import run_async

if TYPE_CHECKING:
    from smcs.bank.progress import EvaluationReport
    from smcs.types import Sampling

_FROM = click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    metavar="FILE[,FILE...]",
    help="Questions files (.jsonl or .jsonl.zst) or names of benchmarks. May be repeated.",
)
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the benchmarks' data. Default: the public hub.",
)
_LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="At most so many questions of each source: the first of a file, a fixed random sample of a benchmark.",
)
_SANDBOX = click.option(
    "--sandbox",
    type=click.Choice(["auto", "bubblewrap", "landlock", "rlimits"]),
    default="auto",
    show_default=True,
    help="What programs written by LLMs are run in to grade them. auto takes none but a strong one.",
)
_SPLIT = click.option(
    "--split", default="validation", show_default=True, help="Questions of this split; all for every."
)
_ON_ERROR = click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do about a line that cannot be used: write nothing, or leave it out.",
)
_POOL = click.option("--pool", type=click.Path(path_type=Path), help="Pool file (TOML). Default: the starter pool.")
_FILE = click.Path(path_type=Path, dir_okay=False)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_QUIET = click.option("--quiet", "-q", is_flag=True, help="Show nothing while it works.")


@click.group()
def command() -> None:
    """Make a question bank, evaluate LLMs on it, look at it.

    PATH is a file, or the URL of a PostgreSQL database. A line of a questions file is a JSON object with "id",
    "question", "answer" and "grader", and optionally "benchmark", "system", "options", "meta" and "split".
    """


@command.command()
@click.argument("path")
@_FROM
@_LIMIT
@_SPLIT
@_DATA
@_ON_ERROR
@_POOL
@click.option("--force", is_flag=True, help="Replace a bank that is there, with all that it holds.")
@_QUIET
def create(path: str, pool: Path | None, force: bool, quiet: bool, **selection: Any) -> None:
    """Make a question bank of questions files and benchmarks.

    The questions are embedded by the pool file's embedder, or by the one that works offline.
    """
    from smcs.bank.create import check_new
    from smcs.cli._bank_questions import create_bank, gathered

    check_new(path, overwrite=force)
    questions = gathered(**selection)
    run_async(create_bank(path, questions, pool, overwrite=force, quiet=quiet))
    click.echo(f"{path}: {len(questions.items)} questions; next: smcs bank evaluate {path}")


@command.command()
@click.argument("path")
@_FROM
@_LIMIT
@_SPLIT
@_DATA
@_ON_ERROR
@_POOL
@_QUIET
def add(path: str, pool: Path | None, quiet: bool, **selection: Any) -> None:
    """Add questions to a bank. Those that it has already are passed over."""
    from smcs.bank import open_bank
    from smcs.cli._bank_questions import add_questions, gathered

    with open_bank(path, write=True) as store:
        questions = gathered(present=[q.question for q in store.questions()], **selection)
        run_async(add_questions(store, questions, pool, quiet=quiet))
    there = f", {questions.present} were there already" if questions.present else ""
    click.echo(f"{path}: {len(questions.items)} questions added{there}")


@command.command("add-feedback")
@click.argument("path")
@click.option("--traces-file", "traces", type=_FILE, help="The server's traces. Default: in the user's data folder.")
@click.option("--grader", metavar="NAME", help="Grade all of them by this. Default: chosen for each.")
@click.option("--benchmark", default="feedback", show_default=True, help="What they are grouped under.")
@click.option("--dry-run", is_flag=True, help="Print them as lines of a questions file; add nothing.")
@_POOL
@_QUIET
def add_feedback(path: str, traces: Path | None, pool: Path | None, **options: Any) -> None:
    """Add questions that a server was asked and somebody has judged, as their feedback says what is right.

    Needs traces with texts (smcs serve --traces full). What cannot be used is left out, and said why. To review them
    first, write them to a file with --dry-run, edit it, and give it to smcs bank add --from.
    """
    from smcs.cli._bank_feedback import add_feedback as adding

    adding(path, traces, pool, **options)


@command.command()
@click.argument("path")
@_POOL
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Only this LLM of the pool. May be repeated.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many questions of each benchmark.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses and orders the questions.")
@click.option("--budget-usd", type=click.FloatRange(min=0), help="Stop before this run costs more.")
@click.option("--budget-tokens", type=click.IntRange(min=0), help="Stop before this run takes more tokens.")
@click.option("--temperature", type=click.FloatRange(min=0), help="Default: the bank's, which is 0 at first.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Most tokens of an answer. Default: the bank's, or 512.")
@click.option("--redo", is_flag=True, help="Ask again what was answered under other settings; earlier answers stay.")
@click.option("--one-by-one", is_flag=True, help="Finish one LLM before the next begins: for little memory.")
@_SANDBOX
@click.option("--dry-run", is_flag=True, help="Say what would be called and what it would cost; call nothing.")
@_JSON
@_QUIET
def evaluate(
    path: str,
    pool: Path | None,
    temperature: float | None,
    max_tokens: int | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Ask LLMs the questions that they have not answered yet; store and grade what they answer.

    Stop it whenever you like: what was answered is safe, and the same command goes on from there. An LLM's own sampling
    settings in the pool file come before those given here. Fails (status 1) where calls failed; the same command makes
    those again.
    """
    from smcs.cli import _bank_evaluate as running
    from smcs.types import Sampling

    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    if dry_run:
        running.dry_run(path, pool, sampling, as_json=as_json, **options)
        return 0
    report = _watched(path, pool, sampling, quiet=quiet or as_json, **options)
    running.print_report(report, as_json=as_json)
    return 0 if report.failures == 0 else 1


@command.command()
@click.argument("path")
@click.option("--again", is_flag=True, help="Also what could not be graded before, and imported grades.")
@_SANDBOX
@_QUIET
def grade(path: str, again: bool, sandbox: str, quiet: bool) -> None:
    """Grade stored responses anew where a grader has changed. Calls no LLM."""
    from smcs.bank import open_bank
    from smcs.bank.evaluate import regrade
    from smcs.cli._bank_progress import watching

    with open_bank(path, write=True) as store, watching(quiet) as watch:
        report = run_async(regrade(store, again=again, sandbox=sandbox, watch=watch))
    click.echo(f"{path}: {report.regraded - report.ungraded} responses graded")
    for note in report.notes:
        click.echo(note)


@command.command()
@click.argument("path", required=False)
@click.option("--question", metavar="ID", help="Show one question with its responses and grades.")
@_JSON
def show(path: str | None, question: str | None, as_json: bool) -> None:
    """Show what a bank holds: capability by LLM and benchmark, coverage, failures, cost.

    Without PATH: the starter bank that ships with the package.
    """
    from smcs.bank import open_bank
    from smcs.cli import _bank_show as showing

    with open_bank(path or _starter_bank()) as store:
        if question is not None:
            showing.show_question(store, question, as_json=as_json)
        else:
            showing.show_bank(store, as_json=as_json)


@command.command()
@click.argument("path", required=False)
@click.option(
    "--out", type=_FILE, help="Where to put it: .png, .svg or .pdf. Default: the bank's name with .png, here."
)
@click.option(
    "--by", default="benchmark", show_default=True, help="Columns: benchmark, or a key of the questions' meta."
)
@click.option("--split", default="all", show_default=True, help="Only the questions of this split.")
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Only this LLM. May be repeated.")
def plot(path: str | None, out: Path | None, by: str, split: str, llms: tuple[str, ...]) -> None:
    """Draw what a bank holds: LLM by benchmark, accuracy with standard error and coverage.

    Without PATH: the starter bank that ships with the package. An earlier picture of the same name is replaced.
    """
    from smcs.cli._bank_plot import plot_bank

    plot_bank(path or _starter_bank(), out, by=by, split=split, llms=llms)


@command.command("import")
@click.argument("path")
@click.option("--questions", multiple=True, type=_FILE, help="Recorded questions (.jsonl or .jsonl.zst).")
@click.option("--responses", multiple=True, type=_FILE, help="What LLMs answered to them (Parquet).")
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Only the responses of this LLM.")
@click.option("--split", default="all", show_default=True, help="Only the questions of this split.")
@_ON_ERROR
@_POOL
@_QUIET
def import_(path: str, questions: tuple[Path, ...], responses: tuple[Path, ...], **options: Any) -> None:
    """Import recorded questions and responses, into a new bank where there is none.

    Grades are taken as recorded. What the bank has already stays as it is, so an import that was interrupted goes on
    when it is started again. The questions are embedded by the pool file's embedder, or by the one that works offline.
    --questions, --responses and --llm may be repeated.
    """
    from smcs.cli._bank_files import import_files

    if not questions and not responses:
        raise click.UsageError("nothing to import: give --questions, --responses, or both")
    import_files(path, questions, responses, **options)


@command.command()
@click.argument("path")
@click.option("--questions", type=_FILE, help="Where to write the questions (.jsonl or .jsonl.zst).")
@click.option("--responses", type=_FILE, help="Where to write the responses with their grades (Parquet).")
@click.option("--llm", "llms", multiple=True, metavar="NAME", help="Only the responses of this LLM. May be repeated.")
@click.option("--split", default="all", show_default=True, help="Only the questions of this split.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def export(path: str, questions: Path | None, responses: Path | None, **options: Any) -> None:
    """Write a bank's questions and responses to files that import reads, and the backend "recorded" answers from."""
    from smcs.cli._bank_files import export_files

    if not questions and not responses:
        raise click.UsageError("nothing to export: give --questions, --responses, or both")
    export_files(path, questions, responses, **options)


@command.command()
@click.argument("path")
@click.argument("old")
@click.argument("new")
def rename(path: str, old: str, new: str) -> None:
    """Give an LLM of a bank another name. Its responses stay its own."""
    from smcs.bank import open_bank

    with open_bank(path, write=True) as store:
        store.rename(old, new)


def _starter_bank() -> Path:
    from smcs.system import starter_bank

    return starter_bank()


def _watched(path: str, pool: Path | None, sampling: Sampling, *, quiet: bool, **options: Any) -> EvaluationReport:
    from smcs.cli import _bank_evaluate as running
    from smcs.cli._bank_progress import watching

    with watching(quiet) as watch:
        try:
            return run_async(running.evaluate(path, pool, sampling, watch, **options))
        except KeyboardInterrupt:
            watch.interrupted()
            raise
