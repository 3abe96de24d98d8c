"""Traces on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from smcs.cli._tables import print_table

_SHOWN = 60


def show_list(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print summaries."""
    if as_json:
        click.echo(json.dumps(list(found), indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("no traces")
        return
    print_table(
        ["id", "when (UTC)", "from", "strategy", "status", "seconds", "calls", "tokens", "USD", "judged", "question"],
        [
            [
                one["id"],
                _when(one["time"]),
                one["source"],
                one["strategy"],
                one["status"],
                f"{one['seconds']:.1f}",
                str(one["calls"]),
                str(one["tokens"]),
                _usd(one["cost_usd"]),
                one["feedback"] or "",
                _short(one["question"]),
            ]
            for one in found
        ],
        right=["seconds", "calls", "tokens", "USD"],
    )


def show_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one trace."""
    if as_json:
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    usage = record.get("usage") or {}
    click.echo(f"{record['id']}  {_when(record['time'])} UTC  from {record['source']}  {record['strategy']}")
    click.echo(f"status {record['status']}, {record['seconds']:.2f} s, {_used(usage)}")
    _text("question", record.get("question"))
    _text("answer", record.get("answer"))
    if record.get("error"):
        _text("error", record["error"].get("message") or record["error"]["kind"])
    trace = record.get("trace")
    if trace:
        _calls(trace)
        for note in (*trace.get("notes", ()), *trace.get("cuts", ())):
            click.echo(f"note: {note}")
        click.echo("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in trace.get("seconds", {}).items()))
    for given in record.get("feedback", ()):
        said = [given["verdict"], *(f"{key}: {given[key]}" for key in ("answer", "comment") if given[key])]
        click.echo(f"feedback {_when(given['time'])}: {'; '.join(said)}")


def _calls(trace: Mapping[str, Any]) -> None:
    click.echo()
    print_table(
        ["referencer", "prior", "seconds", "tokens", "USD", ""],
        [[call["llm"], f"{call['prior']:.3f}", *_call(call)] for call in trace.get("referencers", ())],
        right=["prior", "seconds", "tokens", "USD"],
    )
    aggregations = trace.get("aggregations", ())
    if not aggregations:
        return
    click.echo()
    click.echo(f"aggregated by {trace['aggregator']}:")
    print_table(
        ["", "saw", "similarity", "perplexity", "score", "seconds", "tokens", "USD", ""],
        [
            [
                "wins" if i == trace.get("winner") else "",
                ", ".join(call.get("seen") or call.get("subset") or ()),
                *(_number(call.get(name)) for name in ("similarity", "perplexity", "score")),
                *_call(call),
            ]
            for i, call in enumerate(aggregations)
        ],
        right=["similarity", "perplexity", "score", "seconds", "tokens", "USD"],
    )


def _call(call: Mapping[str, Any]) -> list[str]:
    error = call.get("error")
    said = f"{error['kind']}: {error.get('message', '')}".rstrip(": ") if error else _short(call.get("text"))
    return [f"{call['seconds']:.2f}", str(call["completion_tokens"]), _usd(call["cost_usd"]), said]


def _used(usage: Mapping[str, Any]) -> str:
    tokens = f"{usage.get('prompt_tokens', 0)} + {usage.get('completion_tokens', 0)} tokens"
    return f"{usage.get('calls', 0)} calls, {tokens}, USD {_usd(usage.get('cost_usd')) or 'unknown'}"


def _text(name: str, text: str | None) -> None:
    if text is not None:
        click.echo(f"\n{name}:\n{text}")


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def _usd(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
