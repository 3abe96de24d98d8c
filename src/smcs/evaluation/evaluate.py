"""Comparing strategies on questions, from parts to report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from smcs.errors import ConfigError
from smcs.evaluation.leakage import without_tested
from smcs.evaluation.progress import EvaluationProgress, Tally
from smcs.evaluation.report import Report, make_report
from smcs.evaluation.run import EvaluationRun, Tested, Watcher, in_order
from smcs.evaluation.setup import make_setups
from smcs.evaluation.shared import SharedCalls, SharedEmbedder
from smcs.evaluation.store import ResultsStore
from smcs.pool.budget import Budget, price
from smcs.strategies import Parts, StrategySpec, expand
from smcs.types import Question


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be compared, made ready.

    Attributes:
        parts: with a bank that does not hold the tested questions.
        specs: the strategies, one each.
        tested: the questions, in order.
        seeds: repetitions of everything.
        notes: what a reader of the report has to know.
    """

    parts: Parts
    specs: tuple[StrategySpec, ...]
    tested: tuple[Tested, ...]
    seeds: int
    notes: tuple[str, ...] = ()


def prepare(
    parts: Parts,
    specs: Sequence[StrategySpec],
    questions: Sequence[Question],
    *,
    limit: int | None = None,
    seeds: int = 1,
) -> Comparison:
    """Choose the questions, and take them out of the bank.

    All `questions` are taken out, also those beyond the limit, so that a larger limit later changes no answer.

    Args:
        limit: most questions of each benchmark.

    Raises:
        BankError: the bank holds nothing but tested questions.
    """
    bank, leaked = without_tested(parts.bank, questions)
    notes = []
    if leaked:
        shown = ", ".join(leaked[:3]) + (", ..." if len(leaked) > 3 else "")
        notes.append(f"{len(leaked)} tested questions were in the bank and do not count there ({shown}).")
    unknown = [name for name in parts.pool.names if name not in bank.llms]
    if unknown:
        notes.append(f"The bank knows nothing of {', '.join(unknown)}: the mean of the others stands for its accuracy.")
    return Comparison(
        parts=dataclasses.replace(parts, bank=bank),
        specs=tuple(expand(specs, parts.pool.names)),
        tested=tuple(Tested.of(in_order(questions, limit))),
        seeds=seeds,
        notes=tuple(notes),
    )


async def evaluate(
    store: ResultsStore,
    comparison: Comparison,
    *,
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
    concurrency: int = 8,
    sandbox: str = "auto",
    bank: str = "",
    watch: Watcher = lambda _: None,
) -> tuple[EvaluationProgress, Report]:
    """Have every strategy answer every question that it has not answered yet, and report on all answers.

    What is called and answered is stored at once. Ended at any instant, the same call goes on from there.

    Args:
        store: open for writing.
        budget_usd: most US dollars that this run may cost. Calls that fail are not counted.
        budget_tokens: most tokens of this run, prompts included.
        concurrency: questions that are worked on at once.
        sandbox: name of the sandbox for graders that run programs (see `smcs.sandbox.choose`).
        bank: what the report calls the question bank.
        watch: told how it goes on.

    Raises:
        UsageError: a strategy cannot work with the pool or the bank, or a price that the budget needs is not known.
        ResultsError: the results cannot be written.
    """
    parts = comparison.parts
    check_budget(parts, budget_usd, budget_tokens)
    calls = SharedCalls(store, Budget(budget_usd, budget_tokens), Tally())
    shared = dataclasses.replace(parts, pool=calls.pool(parts.pool), embedder=SharedEmbedder(parts.embedder))
    setups = make_setups(comparison.specs, shared)
    run = EvaluationRun(
        calls,
        setups,
        comparison.tested,
        seeds=comparison.seeds,
        watch=watch,
        concurrency=concurrency,
        sandbox=sandbox,
    )
    progress = await run.run()
    report = await make_report(
        store,
        setups,
        comparison.tested,
        comparison.seeds,
        pool=parts.pool.names,
        bank=bank,
        notes=comparison.notes,
    )
    return progress, report


def check_budget(parts: Parts, usd: float | None, tokens: int | None) -> None:
    """Check that the worst that a call can cost is known, for the kinds of budget there are.

    Raises:
        ConfigError: it is not; says for which LLMs, and what to do.
    """
    unpriced = [llm.name for llm in parts.pool if price(llm.info, 0, 0) is None]
    if usd is not None and unpriced:
        raise ConfigError(
            f"a budget in US dollars needs the prices of {', '.join(unpriced)}: set price_prompt and price_completion "
            f"in the pool file (0 where it is free), or limit the tokens instead (--budget-tokens)"
        )
    if usd is None and tokens is None:
        return
    sampling = parts.method.sampling.to_sampling()
    unlimited = [
        llm.name for llm in parts.pool if sampling.overridden_by(llm.settings.sampling.to_sampling()).max_tokens is None
    ]
    if unlimited:
        raise ConfigError(f"a budget needs a limit of the answers of {', '.join(unlimited)}: set --max-tokens")
