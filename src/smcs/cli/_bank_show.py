"""What a bank holds, as tables or JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import select

from smcs.bank import schema
from smcs.bank.connect import shown
from smcs.bank.store import BankStore
from smcs.bank.tables import BankSummary, Cell, LLMSummary, summary
from smcs.cli._bank_progress import money
from smcs.cli._tables import print_table

_COLUMNS_AT_ONCE = 6


def show_bank(store: BankStore, *, as_json: bool) -> None:
    """Capability by LLM and benchmark with standard errors, coverage, failures, cost."""
    held = summary(store)
    if as_json:
        click.echo(json.dumps({"path": shown(store.location), **held.to_dict()}, indent=2))
        return
    made = datetime.fromtimestamp(held.made, UTC).strftime("%Y-%m-%d")
    info = held.embedder
    revision = f" ({info.revision[:12]})" if info.revision else ""
    click.echo(f"{shown(store.location)}: {held.questions} questions, {len(held.llms)} LLMs, made {made}")
    click.echo(f"embedded by {info.name}{revision}, {info.dimension} dimensions")
    if not held.llms:
        click.echo("\nNo LLM has been evaluated yet: smcs bank evaluate")
        print_table(["benchmark", "questions"], [[n, str(c)] for n, c in held.benchmarks.items()], right=["questions"])
        return
    click.echo("\nCorrect, per cent, with standard error; in brackets how many were graded where not all")
    _capability(held)
    click.echo("\nCoverage and cost")
    columns = ["LLM", "responses", "not gradable", "ungraded", "failed", "tokens", "cut off", "USD"]
    print_table(columns, [_coverage(llm) for llm in held.llms], right=columns[1:])
    for llm in held.llms:
        if llm.failures:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(llm.failures.items()))
            click.echo(f"{llm.llm.name}: failed and not answered since: {kinds}")


def show_question(store: BankStore, question_id: str, *, as_json: bool) -> None:
    """One question with what each LLM answered and how that was graded."""
    stored = store.question(question_id)
    question, answers = stored.question, _answers(store, stored.seq)
    if as_json:
        fields = {name: getattr(question, name) for name in question.__slots__}
        click.echo(
            json.dumps({**fields, "meta": dict(question.meta), "responses": answers}, indent=2, ensure_ascii=False)
        )
        return
    click.echo(f"{question.id} ({question.benchmark}, graded by {question.grader})\n\n{question.text}\n")
    if question.answer is not None:
        click.echo(f"label: {question.answer}")
    for answer in answers:
        verdict = {1: "correct", 0: "wrong"}.get(answer["correct"], "not graded")
        extracted = "" if answer["extracted"] is None else f", read as {answer['extracted']!r}"
        reason = f" ({answer['reason']})" if answer["reason"] else ""
        tokens = f"{answer['completion_tokens']} tokens, ended by {answer['finish_reason']}"
        click.echo(f"\n--- {answer['llm']}: {verdict}{extracted}{reason}; {tokens}\n{answer['text']}")


def _capability(held: BankSummary) -> None:
    names = list(held.benchmarks)
    for start in range(0, len(names), _COLUMNS_AT_ONCE):
        part = names[start : start + _COLUMNS_AT_ONCE]
        headings = {name: f"{name} ({held.benchmarks[name]})" for name in part}
        last = start + _COLUMNS_AT_ONCE >= len(names)
        total = [f"all ({held.questions})"] if last and len(names) > 1 else []
        columns = ["LLM", *headings.values(), *total]
        rows = [
            [llm.llm.name, *(_accuracy(llm.benchmarks[n]) for n in part), *([_accuracy(llm.total)] if total else [])]
            for llm in held.llms
        ]
        print_table(columns, rows, right=columns[1:])


def _accuracy(cell: Cell) -> str:
    if cell.accuracy is None:
        return "-"
    error = "" if cell.standard_error is None else f" ±{100 * cell.standard_error:.1f}"
    count = f" ({cell.graded})" if cell.graded < cell.questions else ""
    return f"{100 * cell.accuracy:.1f}{error}{count}"


def _coverage(llm: LLMSummary) -> list[str]:
    total, usage = llm.total, llm.usage
    return [
        llm.llm.name,
        f"{total.answered}/{total.questions}",
        str(total.not_gradable),
        str(total.ungraded),
        str(total.failed),
        str(usage.prompt_tokens + usage.completion_tokens),
        str(usage.cut_off),
        money(usage.cost_usd),
    ]


def _answers(store: BankStore, question: int) -> list[dict[str, Any]]:
    responses, calls, llms, grades = schema.responses, schema.calls, schema.llms, schema.grades
    graded = (grades.c.call == responses.c.call) & (grades.c.question == responses.c.question)
    query = (
        select(
            llms.c.name.label("llm"),
            calls.c.text,
            calls.c.reasoning,
            calls.c.finish_reason,
            calls.c.prompt_tokens,
            calls.c.completion_tokens,
            calls.c.cost_usd,
            calls.c.seconds,
            responses.c.correct,
            grades.c.extracted,
            grades.c.reason,
            grades.c.version.label("grader_version"),
        )
        .join(llms, llms.c.seq == responses.c.llm)
        .join(calls, calls.c.key == responses.c.call)
        .join(grades, graded, isouter=True)
        .where(responses.c.question == question)
        .order_by(responses.c.llm, grades.c.made)
    )
    with store.reading() as connection:
        # Of several grades the last: rows of one LLM come in the order in which it was graded.
        newest = {row.llm: dict(row._mapping) for row in connection.execute(query)}  # noqa: SLF001
    return list(newest.values())
