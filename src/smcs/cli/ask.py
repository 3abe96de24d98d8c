"""``smcs ask``: one question to the pool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smcs.cli import run_async

if TYPE_CHECKING:
    from smcs.types import Answer


@click.command()
@click.argument("question", required=False)
@click.option("--pool", type=click.Path(path_type=Path), help="Pool file (TOML). Default: the starter pool.")
@click.option("--bank", type=click.Path(path_type=Path), help="Question bank. Default: the starter bank.")
@click.option("--preset", help="'local' (default for the starter pool) or 'paper' (default for a pool of yours).")
@click.option("--strategy", default="smcs", show_default=True, help="How to answer, such as majority or moa:layers=2.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Source of all randomness.")
@click.option("--system", help="System prompt that goes with the question.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as k=2.")
@click.option("--budget-calls", type=click.IntRange(min=1), help="Most requests to LLMs; the answer makes do.")
@click.option("--budget-tokens", type=click.IntRange(min=1), help="Most tokens of all calls, prompts included.")
@click.option("--budget-usd", type=click.FloatRange(min=0), help="Most US dollars of all calls.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Give the best answer that is there by then.")
@click.option("--explain", is_flag=True, help="Show how the answer came about.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer with its trace as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing while the pool works.")
def command(
    question: str | None,
    pool: Path | None,
    bank: Path | None,
    preset: str | None,
    strategy: str,
    seed: int,
    system: str | None,
    overrides: tuple[str, ...],
    budget_calls: int | None,
    budget_tokens: int | None,
    budget_usd: float | None,
    deadline: float | None,
    explain: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Ask the pool QUESTION and print its answer.

    Without QUESTION (or with -) it is read from standard input. What the pool does is shown on standard error; the
    answer alone is on standard output.
    """
    import json

    from smcs.cli._settings import overridden
    from smcs.errors import NoAnswerError
    from smcs.types import Limits, trace_to_dict

    limits = Limits(budget_calls, budget_tokens, budget_usd, deadline)
    text = _read(question)
    settings = overridden(overrides)

    async def ask() -> Answer:
        from smcs.cli._progress import watching
        from smcs.system import System

        with watching(quiet) as observe:
            opening = System.open(pool, bank, preset=preset, settings=settings, strategy=strategy, observe=observe)
            async with await opening as opened:
                return await opened.ask(text, seed=seed, system=system, observe=observe, limits=limits)

    try:
        answer = run_async(ask())
    except NoAnswerError as error:
        trace = trace_to_dict(error.trace) if error.trace else None
        if as_json:
            click.echo(json.dumps({"answer": None, "error": str(error), "seed": seed, "trace": trace}, indent=2))
        raise
    if as_json:
        click.echo(json.dumps(answer.to_dict(), indent=2, ensure_ascii=False))
        return
    click.echo(answer.text)
    if not quiet and not explain:
        for cut in answer.trace.cuts:
            click.echo(f"smcs: cut: {cut}", err=True)
    if explain:
        from smcs.cli._explain import explain as show

        show(answer)


def _read(question: str | None) -> str:
    """The question from the command line or from standard input."""
    if question not in (None, "-"):
        return question or ""
    if sys.stdin.isatty() and question is None:
        raise click.UsageError('no question: smcs ask "..." or pipe it to standard input')
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"standard input is not text: {error}") from None
