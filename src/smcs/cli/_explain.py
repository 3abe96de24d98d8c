"""How an answer came about, as text that reads the same without colour."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smcs.types import Aggregation, Answer, Reference, Trace

SHOWN_SUPPORT = 10
_BAR = 24


def explain(answer: Answer) -> None:
    """Print the steps of the method for one answer to standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=110)
    trace = answer.trace
    where = "on the support set" if trace.support else "on the whole bank"
    for there, title, table in (
        (
            trace.support,
            f"Support set: {len(trace.support)} similar questions of the bank, by {trace.embedder}",
            _support,
        ),
        (trace.prior, f"Prior of each LLM {where}", _prior),
        (trace.referencers, "References, best prior first", _references),
        (trace.aggregations, f"Subsets and aggregations by {trace.aggregator}", _aggregations),
    ):
        if not there:  # not every strategy has every step
            continue
        console.print()
        console.print(Text(title, style="bold"))
        console.print(table(trace))
    _texts(console, trace)
    for cut in trace.cuts:
        console.print(Text(f"Cut: {cut}"))
    for note in trace.notes:
        console.print(Text(f"Note: {note}"))
    console.print()
    console.print(Text(_cost(answer)))


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _support(trace: Trace) -> Table:
    table = _table("similarity", "benchmark", "id", "question", right=("similarity",))
    for item in trace.support[:SHOWN_SUPPORT]:
        text = " ".join(item.text.split())
        table.add_row(f"{item.similarity:.3f}", item.benchmark, item.id, text[:70] + ("..." if len(text) > 70 else ""))
    if len(trace.support) > SHOWN_SUPPORT:
        table.add_row("", "", "", f"and {len(trace.support) - SHOWN_SUPPORT} more")
    return table


def _prior(trace: Trace) -> Table:
    table = _table("LLM", "prior", "", "", right=("prior",))
    most = max(trace.prior.values(), default=0.0)
    chosen = [r.llm for r in trace.referencers]
    for name, value in sorted(trace.prior.items(), key=lambda item: -item[1]):
        bar = "#" * round(_BAR * value / most) if most > 0 else ""
        rank = f"referencer {chosen.index(name) + 1}" if name in chosen else "not chosen"
        if name in trace.fallbacks:
            rank += f" (by its {trace.fallbacks[name]})"
        table.add_row(name, f"{value:.3f}", bar.ljust(_BAR), rank)
    return table


def _references(trace: Trace) -> Table:
    kept = ("kept with p",) if trace.drop_distribution else ()
    table = _table("", "LLM", *kept, "tokens", "seconds", "ended", right=(*kept, "tokens", "seconds"))
    for i, reference in enumerate(trace.referencers):
        chance = [f"{trace.drop_distribution[i]:.2f}"] if kept else []
        table.add_row(str(i + 1), reference.llm, *chance, *_call(reference))
    return table


def _call(call: Reference | Aggregation) -> tuple[str, str, str]:
    if call.completion:
        c = call.completion
        return str(c.completion_tokens), f"{c.seconds:.1f}", c.finish_reason
    if call.failure:
        return "", f"{call.failure.seconds:.1f}", f"{call.failure.kind}: {call.failure.message}"
    return "", "", ""


def _aggregations(trace: Trace) -> Table:
    numbers = {r.llm: str(i) for i, r in enumerate(trace.referencers, 1)}
    columns = ("", "references", "similarity", "perplexity", "score", "tokens", "seconds", "ended", "")
    table = _table(*columns, right=columns[2:7])
    for i, a in enumerate(trace.aggregations):
        kept = " ".join(numbers[name] if name in a.subset else "-" for name in numbers)
        tokens, seconds, ended = _call(a)
        scores = [f"{value:.3f}" if value is not None else "" for value in (a.similarity, a.perplexity, a.score)]
        table.add_row(str(i + 1), kept, *scores, tokens, seconds, ended, "<- winner" if i == trace.winner else "")
    return table


def _texts(console: Console, trace: Trace) -> None:
    for i, reference in enumerate(trace.referencers, 1):
        if reference.completion:
            console.print(Text(f"\nReference {i}, {reference.llm}", style="bold"))
            console.print(Text(reference.completion.text.strip()))
    for i, aggregation in enumerate(trace.aggregations, 1):
        if aggregation.completion and i - 1 != trace.winner:
            console.print(Text(f"\nAggregation {i}", style="bold"))
            console.print(Text(aggregation.completion.text.strip()))
    console.print()


def _cost(answer: Answer) -> str:
    usage = answer.usage
    cost = "price unknown" if usage.cost_usd is None else f"{usage.cost_usd:.6f} USD"
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in answer.trace.seconds.items())
    return (
        f"{usage.calls} calls, {usage.prompt_tokens} prompt tokens, {usage.completion_tokens} generated tokens, "
        f"{cost}, {answer.seconds:.1f} s ({steps}), seed {answer.seed}"
    )
