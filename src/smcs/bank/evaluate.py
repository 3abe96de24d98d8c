"""Evaluating LLMs on a bank: whatever has no response yet is asked, stored and graded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from smcs.bank import plan as planning
from smcs.bank._run import Run, Watcher
from smcs.bank.lock import run_lock
from smcs.bank.plan import Conditions, EvaluationPlan, LLMCaller
from smcs.bank.progress import EvaluationReport
from smcs.bank.store import BankStore
from smcs.errors import ConfigError
from smcs.pool.budget import Budget, price


async def evaluate(
    store: BankStore,
    callers: Iterable[LLMCaller],
    *,
    conditions: Conditions | None = None,
    llms: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    redo: bool = False,
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
    one_by_one: bool = False,
    sandbox: str = "auto",
    watch: Watcher = lambda _: None,
) -> EvaluationReport:
    """Ask every LLM the questions that it has not answered yet, store what it answers, and grade it.

    What is answered is stored at once. Ended at any instant, the run goes on from there when it is started again.

    Args:
        store: open for writing.
        callers: the pool's LLMs.
        conditions: sampling settings and system prompt; by default the bank's own (see `plan.conditions_of`).
        llms: names of the LLMs to evaluate; all by default.
        limit: most questions of each benchmark, the same ones for every LLM.
        seed: chooses and orders the questions; also the seed of calls that sample.
        redo: ask again what has a response made under other conditions, and make these the bank's.
        budget_usd: most US dollars that this run may cost. Calls that fail are not counted.
        budget_tokens: most tokens of this run, prompts included.
        one_by_one: whether to finish one LLM before the next begins: for local LLMs that do not fit into memory
            together.
        sandbox: name of the sandbox for graders that run programs (see `smcs.sandbox.choose`).
        watch: told how it goes on.

    Returns:
        What it came to. Calls that failed are counted there, and made again by the next run.

    Raises:
        UsageError: an LLM is not in the pool, or has no price though the budget is in money.
        BankError: another run is at work on the bank, or the bank cannot be written.
    """
    with run_lock(store.location, store.engine):
        wanted = conditions or planning.conditions_of(store, afresh=redo)
        made = await asyncio.to_thread(
            planning.make_plan, store, list(callers), wanted, llms=llms, limit=limit, seed=seed, redo=redo
        )
        check_budget(made, budget_usd, budget_tokens)
        if redo or "conditions" not in store.properties:
            await asyncio.to_thread(store.set_property, "conditions", wanted.to_json())
        budget = Budget(budget_usd, budget_tokens)
        return await Run(store, made, budget, watch, one_by_one=one_by_one, sandbox=sandbox).run()


async def regrade(
    store: BankStore, *, again: bool = False, sandbox: str = "auto", watch: Watcher = lambda _: None
) -> EvaluationReport:
    """Grade what has no grade, or only one by another version of its grader. Calls no LLM.

    Args:
        store: open for writing.
        again: also what the grader could not grade before.
        sandbox: name of the sandbox for graders that run programs.
        watch: told how it goes on.

    Raises:
        BankError: another run is at work on the bank, or the bank cannot be written.
    """
    with run_lock(store.location, store.engine):
        questions = await asyncio.to_thread(store.questions)
        made = EvaluationPlan(Conditions(), (), {q.seq: q for q in questions})
        return await Run(store, made, Budget(), watch, grade_again=again, sandbox=sandbox).run()


def check_budget(made: EvaluationPlan, usd: float | None, tokens: int | None) -> None:
    """Check that the worst that a call can cost is known, for the kinds of budget there are.

    Raises:
        ConfigError: it is not; says for which LLMs, and what to do.
    """
    working = [llm for llm in made.llms if llm.calls]
    unpriced = [llm.name for llm in working if price(llm.caller.info, 0, 0) is None]
    if usd is not None and unpriced:
        raise ConfigError(
            f"a budget in US dollars needs the prices of {', '.join(unpriced)}: set price_prompt and price_completion "
            f"in the pool file (0 where it is free), or limit the tokens instead (--budget-tokens)"
        )
    unlimited = [llm.name for llm in working if llm.sampling.max_tokens is None]
    if (usd is not None or tokens is not None) and unlimited:
        raise ConfigError(f"a budget needs a limit of the answers of {', '.join(unlimited)}: set max_tokens")
