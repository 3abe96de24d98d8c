"""A request as its trace holds it, so that it can be asked again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from smcs.server.trace_record import Record
from smcs.server.traces import TracesError
from smcs.strategies import StrategySpec
from smcs.types import Limits, Message, Output, Question, ToolCall

_DEFAULTS = Output()


def as_record(question: Question, history: tuple[Message, ...], spec: StrategySpec) -> Record:
    """What of a record says how to ask the same again."""
    output = question.output
    return {
        "question": question.text,
        "system": question.system,
        "query": question.query,
        "after": [_message(turn) for turn in question.after],
        "history": [_message(turn) for turn in history],
        "output": None if output is None else _set_in(output),
        "spec": {"name": spec.name, "settings": dict(spec.settings), "label": spec.label},
    }


def asked(record: Record) -> dict[str, Any]:
    """The arguments of the `Ask` that a record is of: question, history, seed, strategy, settings, limits.

    Raises:
        TracesError: the record holds no texts.
    """
    if not record.get("question"):
        raise TracesError(
            f"the trace {record['id']} holds no texts to ask again; serve with --traces full to keep them"
        )
    output = record.get("output")
    return {
        "question": Question(
            record["question"],
            system=record.get("system"),
            query=record.get("query") or "",
            after=tuple(_turn(turn) for turn in record.get("after") or ()),
            output=None if output is None else Output(**_with_tuples(output)),
        ),
        "history": tuple(_turn(turn) for turn in record.get("history") or ()),
        "seed": record["seed"],
        "strategy": StrategySpec(**record["spec"]) if record.get("spec") else None,
        "settings": dict(record.get("settings") or {}),
        "limits": Limits(**(record.get("limits") or {})),
    }


def _message(message: Message) -> Record:
    turn: Record = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [dataclasses.asdict(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _turn(turn: Record) -> Message:
    calls = tuple(ToolCall(**call) for call in turn.get("tool_calls") or ())
    return Message(turn["role"], turn["content"], calls, turn.get("tool_call_id"))


def _set_in(output: Output) -> Record:
    values = {f.name: getattr(output, f.name) for f in dataclasses.fields(Output)}
    return {name: value for name, value in values.items() if value != getattr(_DEFAULTS, name)}


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
