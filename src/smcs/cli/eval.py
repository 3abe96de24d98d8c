"""``smcs eval``: compare strategies on the same questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    required=True,
    metavar="NAME[,NAME...]",
    help="Strategies to compare, such as smcs,majority,single:llm=*,moa:layers=2. May be repeated.",
)
@click.option("--benchmark", "benchmarks", multiple=True, metavar="NAME[,NAME...]", help="Benchmarks to test on.")
@click.option(
    "--questions", "files", multiple=True, metavar="FILE", help="Questions file to test on (.jsonl or .jsonl.zst)."
)
@click.option("--split", help="Only questions of this split. Default: test for benchmarks, all of a file.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do about a line of a file that cannot be used: stop, or leave it out.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder with the benchmarks. Default: the public hub.")
@click.option("--pool", type=click.Path(path_type=Path), help="Pool file (TOML). Default: the starter pool.")
@click.option("--bank", help="Question bank. Default: the starter bank. Tested questions do not count in it.")
@click.option("--preset", help="'local' (default for the starter pool) or 'paper' (default for a pool of yours).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as k=2.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Most tokens of a response.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many questions of each benchmark.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, help="Repetitions of everything.")
@click.option("--budget-usd", type=click.FloatRange(min=0), help="Stop before this run costs more.")
@click.option("--budget-tokens", type=click.IntRange(min=0), help="Stop before this run takes more tokens.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=8,
    show_default=True,
    help="Questions at once. Latency is best measured at 1.",
)
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "bubblewrap", "landlock", "rlimits"]),
    default="auto",
    show_default=True,
    help="What programs written by LLMs are run in to grade them. auto takes none but a strong one.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("smcs-results.db"),
    show_default=True,
    help="File that keeps calls and answers; the same file goes on where it was.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Report: .txt, .md, .csv, .tex, .html or .json, or a folder for all."
)
@click.option("--dry-run", is_flag=True, help="Say what would be called and what it would cost; call nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing while it works.")
def command(*, dry_run: bool, as_json: bool, quiet: bool, out: Path | None, **options: Any) -> int:
    """Compare strategies on the same questions, the same responses and the same budget.

    What one strategy has asked, no other asks again, nor a later run with the same --results. Stop it whenever you
    like: the same command goes on from there. Settings follow a strategy's name after colons (moa:layers=2). Fails
    (status 1) where answers are missing at the end.
    """
    from smcs.cli import _eval_run as running
    from smcs.evaluation.output import check_output

    if out is not None:
        check_output(out)
    if dry_run:
        running.dry_run(as_json=as_json, **options)
        return 0
    progress, report = running.evaluate(quiet=quiet or as_json, **options)
    running.show(progress, report, out, as_json=as_json)
    return 0 if progress.complete else 1
