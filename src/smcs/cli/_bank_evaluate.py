"""Evaluating from the command line: what would be done, doing it, and what it came to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from smcs.bank import open_bank
from smcs.bank import plan as planning
from smcs.bank.evaluate import check_budget
from smcs.bank.evaluate import evaluate as run_evaluation
from smcs.bank.plan import EvaluationPlan, LLMPlan
from smcs.bank.progress import EvaluationReport, LLMProgress
from smcs.cli import run_async
from smcs.cli._bank_progress import View, duration, money
from smcs.cli._tables import print_table
from smcs.system import build_pool, load_pool
from smcs.types import Sampling


async def evaluate(
    path: str, pool: Path | None, sampling: Sampling, view: View, *, redo: bool, **options: Any
) -> EvaluationReport:
    """Evaluate a pool on a bank."""
    with open_bank(path, write=True) as store:
        conditions = planning.conditions_of(store, sampling, afresh=redo)
        async with build_pool(load_pool(pool), view.observe) as llms:
            return await run_evaluation(store, llms, conditions=conditions, redo=redo, watch=view, **options)


def dry_run(
    path: str,
    pool: Path | None,
    sampling: Sampling,
    *,
    as_json: bool,
    llms: Sequence[str],
    limit: int | None,
    seed: int,
    redo: bool,
    one_by_one: bool,
    sandbox: str,
    budget_usd: float | None,
    budget_tokens: int | None,
) -> None:
    """Say what an evaluation would call and cost. Writes nothing and calls nothing."""
    del one_by_one, sandbox  # of no effect on what it would take

    async def plan() -> EvaluationPlan:
        with open_bank(path) as store:
            conditions = planning.conditions_of(store, sampling, afresh=redo)
            async with build_pool(load_pool(pool)) as opened:
                return planning.make_plan(store, opened, conditions, llms=llms, limit=limit, seed=seed, redo=redo)

    made = run_async(plan())
    check_budget(made, budget_usd, budget_tokens)
    if as_json:
        click.echo(json.dumps({"llms": [_plan_to_dict(llm) for llm in made.llms]}, indent=2))
        return
    columns = ["LLM", "questions", "answered", "no cost", "to call", "prompt tokens", "generated", "USD", "at most USD"]
    print_table(columns, [_plan_cells(llm) for llm in made.llms], right=columns[1:])
    calls = sum(len(llm.calls) for llm in made.llms)
    click.echo(f"\n{calls} calls, {_total(made, worst=False)}, at most {_total(made, worst=True)}. Nothing was called.")
    if any(llm.calls and not llm.known for llm in made.llms):
        click.echo("Generated tokens are the limit for each answer: nothing is known yet of how long answers are.")
    for note in _notes(made):
        click.echo(note)


def print_report(report: EvaluationReport, *, as_json: bool) -> None:
    """Say what an evaluation came to."""
    if as_json:
        values = asdict(report)
        values |= {"complete": report.complete, "failures": report.failures, "cost_usd": report.cost_usd}
        click.echo(json.dumps(values, indent=2))
        return
    columns = [
        "LLM",
        "questions",
        "before",
        "no cost",
        "called",
        "failed",
        "left",
        "generated",
        "cut off",
        "USD",
        "correct",
    ]
    print_table(columns, [_report_cells(llm) for llm in report.llms], right=columns[1:])
    click.echo(f"\n{report.answered} answers in {duration(report.seconds)}, {_dollars(report.cost_usd)}.")
    for llm in report.llms:
        for line in _remarks(llm):
            click.echo(line)
    for note in report.notes:
        click.echo(note)
    if report.ungraded:
        click.echo(f"{report.ungraded} responses wait for their grade: smcs bank grade")
    if not report.complete:
        click.echo("The same command goes on from here.")


def _plan_cells(llm: LLMPlan) -> list[str]:
    most = llm.most_completion_tokens
    return [
        llm.name,
        str(llm.asked),
        str(llm.answered),
        str(sum(len(record.questions) for record in llm.reused)),
        str(len(llm.calls)),
        f"~{llm.prompt_tokens}",
        f"~{llm.completion_tokens}" if llm.known else f"<={llm.completion_tokens}",
        money(llm.cost_usd(llm.completion_tokens)),
        "unlimited" if most is None else money(llm.cost_usd(most)),
    ]


def _plan_to_dict(llm: LLMPlan) -> dict[str, Any]:
    most = llm.most_completion_tokens
    return {
        "name": llm.name,
        "questions": llm.asked,
        "answered": llm.answered,
        "answered_under_other_settings": llm.other_settings,
        "reused": sum(len(record.questions) for record in llm.reused),
        "calls": len(llm.calls),
        "prompt_tokens": llm.prompt_tokens,
        "completion_tokens": llm.completion_tokens,
        "completion_tokens_known": llm.known,
        "most_completion_tokens": most,
        "cost_usd": llm.cost_usd(llm.completion_tokens),
        "most_cost_usd": None if most is None else llm.cost_usd(most),
    }


def _total(made: EvaluationPlan, *, worst: bool) -> str:
    tokens = [llm.most_completion_tokens if worst else llm.completion_tokens for llm in made.llms]
    if any(count is None for count in tokens):
        return "without a limit"
    costs = [llm.cost_usd(count or 0) for llm, count in zip(made.llms, tokens, strict=True) if llm.calls]
    generated = sum(count or 0 for count in tokens)
    usd = None if None in costs else sum(cost or 0.0 for cost in costs)
    return f"{generated} generated tokens ({_dollars(usd)})"


def _notes(made: EvaluationPlan) -> list[str]:
    return [
        f"{llm.name}: {llm.other_settings} answers were made under other settings and stay; --redo asks again."
        for llm in made.llms
        if llm.other_settings and llm.answered
    ]


def _dollars(usd: float | None) -> str:
    return "at a price that is not known" if usd is None else f"{money(usd)} USD"


def _report_cells(llm: LLMProgress) -> list[str]:
    return [
        llm.name,
        str(llm.total),
        str(llm.answered_before),
        str(llm.reused),
        str(llm.answered),
        str(llm.failures),
        str(llm.left),
        str(llm.completion_tokens),
        str(llm.cut_off),
        money(llm.cost_usd),
        f"{llm.correct}/{llm.graded}" if llm.graded else "",
    ]


def _remarks(llm: LLMProgress) -> list[str]:
    remarks = []
    if llm.failed:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(llm.failed.items()))
        remarks.append(f"{llm.name}: {llm.failures} calls failed ({kinds}); the next run makes them again.")
    if llm.stopped == "failing":
        remarks.append(f"{llm.name}: stopped, since {llm.detail}")
    if llm.stopped == "budget":
        remarks.append(f"{llm.name}: stopped before the budget would be exceeded.")
    if llm.not_gradable:
        remarks.append(f"{llm.name}: {llm.not_gradable} responses cannot be graded.")
    return remarks
