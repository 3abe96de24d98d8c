"""Comparing strategies from the command line: what would be done, doing it, and what it came to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click

from smcs import config
from smcs.bank import QuestionBank, load_bank
from smcs.bank.connect import shown
from smcs.cli import run_async
from smcs.cli._bank_progress import duration, money
from smcs.cli._eval_progress import View, watching
from smcs.cli._eval_questions import tested_questions
from smcs.cli._tables import print_table
from smcs.evaluation import Comparison, EvaluationProgress, Report, open_results, prepare
from smcs.evaluation import evaluate as run_evaluation
from smcs.evaluation.dry_run import Estimate, LLMEstimate
from smcs.evaluation.dry_run import dry_run as estimate
from smcs.evaluation.evaluate import check_budget
from smcs.evaluation.output import write_report
from smcs.evaluation.tables import as_text
from smcs.strategies import Parts, parse_specs
from smcs.system import build_embedder, build_pool, load_pool, starter_bank
from smcs.types import Question

_MOST_PAIRS = 21


def evaluate(
    *,
    quiet: bool,
    results: Path,
    budget_usd: float | None,
    budget_tokens: int | None,
    concurrency: int,
    sandbox: str,
    **options: Any,
) -> tuple[EvaluationProgress, Report]:
    """Compare strategies."""
    questions = _questions(options)

    async def run(view: View) -> tuple[EvaluationProgress, Report]:
        async with _comparison(view, questions, embed=True, **options) as comparison, open_results(results) as store:
            return await run_evaluation(
                store,
                comparison,
                budget_usd=budget_usd,
                budget_tokens=budget_tokens,
                concurrency=concurrency,
                sandbox=sandbox,
                bank=shown(options["bank"]) if options["bank"] else "starter bank",
                watch=view,
            )

    with watching(quiet) as view:
        try:
            return run_async(run(view))
        except KeyboardInterrupt:
            view.interrupted()
            raise


def dry_run(
    *,
    as_json: bool,
    results: Path,
    budget_usd: float | None,
    budget_tokens: int | None,
    concurrency: int,
    sandbox: str,
    **options: Any,
) -> None:
    """Say what a comparison would call and cost. Writes nothing and calls nothing."""
    del concurrency, sandbox  # of no effect on what it would take
    questions = _questions(options)

    async def run() -> Estimate:
        store = open_results(results, write=False)
        async with store, _comparison(View(None), questions, embed=False, **options) as comparison:
            check_budget(comparison.parts, budget_usd, budget_tokens)
            return await estimate(store, [comparison])

    show_estimate(run_async(run()), as_json=as_json)


def show_estimate(made: Estimate, *, as_json: bool) -> None:
    """Print what would be called."""
    if as_json:
        click.echo(json.dumps(estimate_to_dict(made), indent=2))
        return
    columns = ["LLM", "calls", "prompt tokens", "generated", "USD", "at most USD"]
    print_table(columns, [_estimate_cells(llm, known=made.known) for llm in made.llms], right=columns[1:])
    calls = sum(llm.calls for llm in made.llms)
    click.echo(
        f"\n{made.answers} answers of {len(made.llms)} LLMs in about {calls:.0f} calls, "
        f"{_total([llm.cost_usd for llm in made.llms])}, at most {_total([llm.most_cost_usd for llm in made.llms])}. "
        f"Nothing was called."
    )
    if not made.known:
        click.echo("Where no earlier answers of an LLM are known, every one is taken to be as long as it may be.")
    click.echo(
        "Which LLMs the prior will choose is not known without embedding the questions: it is taken to vary."
        + (" Worked out on some of the questions." if made.sampled else "")
    )


def show(progress: EvaluationProgress, report: Report, out: Path | None, *, as_json: bool) -> None:
    """Say what a comparison came to, and write its report."""
    written = write_report(report, out) if out is not None else []
    if as_json:
        run = {
            "calls": progress.calls,
            "reused": progress.reused,
            "prompt_tokens": progress.prompt_tokens,
            "completion_tokens": progress.completion_tokens,
            "cost_usd": progress.cost_usd,
            "seconds": progress.seconds,
            "failures": [{"llm": llm, "kind": kind, "count": n} for (llm, kind), n in progress.failures.items()],
            "stopped": progress.stopped or None,
            "postponed_grades": progress.postponed,
            "complete": progress.complete,
        }
        click.echo(json.dumps({**report.to_dict(), "run": run}, indent=2, ensure_ascii=False))
        return
    click.echo(as_text(report, most_pairs=_MOST_PAIRS))
    cost = "at a price that is not known" if progress.cost_usd is None else f"{money(progress.cost_usd)} USD"
    tokens = progress.prompt_tokens + progress.completion_tokens
    click.echo(
        f"This run: {progress.calls} calls made, {progress.reused} shared, {tokens} tokens, {cost}, "
        f"{duration(progress.seconds)}."
    )
    for (llm, kind), count in sorted(progress.failures.items()):
        click.echo(f"{llm}: {count} calls failed ({kind}).")
    if progress.postponed:
        click.echo(f"{progress.postponed} answers wait for their grade: {progress.why_postponed}.")
    if progress.stopped:
        click.echo(f"Stopped: {progress.stopped}.")
    if not progress.complete:
        click.echo("The same command goes on from here.")
    for file in written:
        click.echo(f"written: {file}", err=True)


@asynccontextmanager
async def _comparison(
    view: View,
    questions: Sequence[Question],
    *,
    embed: bool,
    strategies: Sequence[str],
    pool: Path | None,
    bank: str | None,
    preset: str | None,
    overrides: Sequence[str],
    max_tokens: int | None,
    limit: int | None,
    seeds: int,
) -> AsyncIterator[Comparison]:
    """Everything that a comparison needs, closed afterwards.

    Args:
        embed: whether the embedder is started; if not, it is not to be used.
    """
    specs = parse_specs(strategies)
    opening = opened_parts(
        view, embed=embed, pool=pool, bank=bank, preset=preset, overrides=overrides, max_tokens=max_tokens
    )
    async with opening as parts:
        yield prepare(parts, specs, questions, limit=limit, seeds=seeds)


@asynccontextmanager
async def opened_parts(
    view: View,
    *,
    embed: bool,
    pool: Path | None,
    bank: str | QuestionBank | None,
    preset: str | None,
    overrides: Sequence[str],
    max_tokens: int | None,
) -> AsyncIterator[Parts]:
    """What strategies are built of, closed afterwards.

    Args:
        embed: whether the embedder is started; if not, it is not to be used.
        bank: a question bank, or its path; the starter bank where None.
    """
    pool_config = load_pool(pool)
    settings: dict[str, Any] = {}
    for override in overrides:
        settings = config.merge(settings, config.parse_override(override))
    if max_tokens is not None:
        limited = {"sampling": {"max_tokens": max_tokens}, "aggregation_sampling": {"max_tokens": max_tokens}}
        settings = config.merge(settings, limited)
    method = config.method_settings(preset or ("paper" if pool else "local"), pool_config.smcs, settings)
    loaded = bank if isinstance(bank, QuestionBank) else await asyncio.to_thread(load_bank, bank or starter_bank())
    async with build_pool(pool_config, view.observe) as llms:
        embedder = build_embedder(pool_config, view.observe)
        try:
            if embed:
                loaded.require_embedder(await embedder.start())
            yield Parts(llms, loaded, embedder, method)
        finally:
            await embedder.aclose()


def _questions(options: dict[str, Any]) -> list[Question]:
    return tested_questions(*(options.pop(name) for name in ("benchmarks", "files", "split", "on_error", "data")))


def _estimate_cells(llm: LLMEstimate, *, known: bool) -> list[str]:
    return [
        llm.info.name,
        f"{llm.calls:.0f}",
        f"~{llm.prompt_tokens:.0f}",
        f"{'~' if known else '<='}{llm.completion_tokens:.0f}",
        money(llm.cost_usd),
        money(llm.most_cost_usd),
    ]


def estimate_to_dict(made: Estimate) -> dict[str, Any]:
    return {
        "answers": made.answers,
        "calls": sum(llm.calls for llm in made.llms),
        "lengths_known": made.known,
        "sampled": made.sampled,
        "llms": [
            {
                "name": llm.info.name,
                "calls": llm.calls,
                "prompt_tokens": llm.prompt_tokens,
                "completion_tokens": llm.completion_tokens,
                "most_completion_tokens": llm.most_completion_tokens,
                "cost_usd": llm.cost_usd,
                "most_cost_usd": llm.most_cost_usd,
            }
            for llm in made.llms
        ],
    }


def _total(costs: Sequence[float | None]) -> str:
    known = [cost for cost in costs if cost is not None]
    return f"{money(sum(known))} USD" if len(known) == len(costs) else "at a price that is not known"
