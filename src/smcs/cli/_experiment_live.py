"""Tables and figures that need calls: opening what they need, planning, running, and what they came to."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click

from smcs.bank import QuestionBank
from smcs.bank.connect import shown
from smcs.cli import run_async
from smcs.cli._bank_progress import money
from smcs.cli._eval_progress import View, watching
from smcs.cli._eval_questions import tested_questions
from smcs.cli._eval_run import estimate_to_dict, opened_parts, show_estimate
from smcs.errors import ConfigError
from smcs.evaluation import open_results
from smcs.evaluation.dry_run import Estimate
from smcs.evaluation.dry_run import dry_run as estimate
from smcs.evaluation.evaluate import check_budget
from smcs.experiments import paper_setting
from smcs.experiments.called import Runner, Setting, comparisons_of
from smcs.experiments.exhibit import Exhibit, Source
from smcs.experiments.paper_setting import BankCost
from smcs.system import load_pool

_OWN = ("only_bank", "aggregators", "draws")


def run(name: str, source: Source, options: dict[str, Any], *, quiet: bool) -> tuple[Exhibit, int]:
    """Make an exhibit from calls. Returns it and the exit status: 1 where answers are missing."""
    module = importlib.import_module(f"smcs.experiments.{name}")
    concurrency = options["concurrency"] or getattr(module, "CONCURRENCY", 8)

    async def work(view: View) -> tuple[Exhibit, int]:
        async with _setting(view, module, source, options, plan=False) as setting:
            arms = module.arms(setting)
            if not arms:
                return await module.from_calls([], setting), 0
            async with open_results(options["results"]) as store:
                runner = Runner(
                    store, setting, options["budget_usd"], options["budget_tokens"], concurrency=concurrency, watch=view
                )
                exhibit: Exhibit = await module.from_calls(await runner.run(arms), setting)
            notes = [f"Stopped: {runner.stopped}."] if runner.stopped else []
            notes += [] if runner.complete else ["The same command goes on from here."]
            made = f"{runner.calls} calls were made for this; the others were stored in {options['results']}."
            return exhibit.with_notes(*notes, made), 0 if runner.complete else 1

    with watching(quiet) as view:
        try:
            return run_async(work(view))
        except KeyboardInterrupt:
            view.interrupted()
            raise


def dry_run(name: str, source: Source, options: dict[str, Any], *, as_json: bool) -> None:
    """Say what an exhibit would call and cost. Writes nothing and calls nothing."""
    module = importlib.import_module(f"smcs.experiments.{name}")

    async def plan() -> tuple[Estimate, BankCost | None]:
        async with _setting(View(None), module, source, options, plan=True) as setting:
            check_budget(setting.parts, options["budget_usd"], options["budget_tokens"])
            bank = None if options["bank"] or source != "paper" else _bank_cost(setting, options)
            comparisons = comparisons_of(setting, module.arms(setting))
            async with open_results(options["results"], write=False) as store:
                return await estimate(store, comparisons, expected_tokens=options["expected_tokens"]), bank

    made, bank = run_async(plan())
    if as_json:
        more = {} if bank is None else {"bank": dataclasses.asdict(bank)}
        click.echo(json.dumps({**estimate_to_dict(made), **more}, indent=2))
        return
    show_estimate(made, as_json=False)
    if bank is not None:
        cost = "at a price that is not known" if bank.cost_usd is None else f"{money(bank.cost_usd)} USD"
        click.echo(
            f"Before that, evaluating the bank takes {bank.calls} calls, ~{bank.prompt_tokens} prompt tokens and "
            f"{'~' if options['expected_tokens'] else '<='}{bank.completion_tokens} generated ones, {cost}."
        )


@asynccontextmanager
async def _setting(
    view: View, module: Any, source: Source, options: dict[str, Any], *, plan: bool
) -> AsyncIterator[Setting]:
    """What the exhibit is made of, closed afterwards.

    Args:
        plan: nothing is called: the embedder is not started, and the paper's bank need not be there.
    """
    pool, bank, tokens = options["pool"], options["bank"], options["max_tokens"]
    preset, overrides = options["preset"], list(options["overrides"])
    if source == "paper":
        pool, preset = paper_setting.pool_file(pool), preset or "paper"
        tokens = tokens or getattr(module, "TOKENS", None)
        llms = load_pool(pool).names
        overrides = [*_written(paper_setting.overrides(tokens, llms)), *overrides]
        planned = plan and not bank
        bank = paper_setting.planned_bank(llms, options["data"]) if planned else paper_setting.require_bank(bank)
    names = options["benchmarks"] or (() if options["files"] else getattr(module, "BENCHMARKS", ()))
    questions = []
    if names or options["files"]:
        questions = tested_questions(names, options["files"], options["split"], "stop", options["data"])
    opening = opened_parts(
        view, embed=not plan, pool=pool, bank=bank, preset=preset, overrides=overrides, max_tokens=tokens
    )
    async with opening as parts:
        yield Setting(
            source, parts, questions, options["limit"], options["seeds"], options["seed"], _called(bank),
            options["sandbox"], {name: options[name] for name in _OWN if name in options},
        )  # fmt: skip


def _called(bank: str | QuestionBank | None) -> str:
    if isinstance(bank, QuestionBank):
        return "still to be made"
    return shown(bank) if bank else "of the starter pool"


def _written(settings: dict[str, Any]) -> list[str]:
    """Settings as the command line writes them."""
    tables = {
        key: ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items())
        for key, table in settings.items()
    }
    return [f"{key}={{ {table} }}" for key, table in tables.items()]


def _bank_cost(setting: Setting, options: dict[str, Any]) -> BankCost:
    sampling = setting.parts.method.sampling.to_sampling()
    tokens = options["expected_tokens"] or sampling.max_tokens
    if tokens is None:
        raise ConfigError("nothing limits how long responses are: set --max-tokens, or say --expected-tokens")
    infos = [llm.info for llm in setting.parts.pool]
    prices = {info.name: (info.price_prompt, info.price_completion) for info in infos}
    return paper_setting.bank_cost(setting.parts.bank, prices, tokens)
