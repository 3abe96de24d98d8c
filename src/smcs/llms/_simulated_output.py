"""How a simulated LLM calls tools and writes JSON: what is asked for, filled with plausible values."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from smcs.types import Message, Output, ToolCall

_DEEPEST = 8


def tool_call(output: Output, messages: Sequence[Message], answer: str, rng: random.Random) -> ToolCall | None:
    """The call of a tool that a response is to be, or None where it is to be a text.

    It calls the tool that it has to; of its own accord one that the user's turn names, unless a tool has just answered.
    """
    functions = [tool["function"] for tool in output.tools if isinstance(tool.get("function"), Mapping)]
    if not functions or output.tool_choice == "none":
        return None
    asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
    named = [function for function in functions if str(function["name"]) in asked]
    if isinstance(output.tool_choice, Mapping):
        wanted = output.tool_choice.get("function", {}).get("name")
        chosen = [function for function in functions if function["name"] == wanted]
    elif output.tool_choice == "required":
        chosen = named or functions
    else:
        chosen = named if messages[-1].role == "user" else []
    if not chosen:
        return None
    arguments = json.dumps(_value(chosen[0].get("parameters") or {"type": "object"}, answer))
    return ToolCall(f"call_{rng.getrandbits(48):012x}", str(chosen[0]["name"]), arguments)


def json_text(response_format: Mapping[str, Any], answer: str) -> str | None:
    """The answer as the JSON that is wanted, or None where a text is."""
    match response_format.get("type"):
        case "json_object":
            return json.dumps({"answer": answer})
        case "json_schema":
            schema = response_format.get("json_schema", {}).get("schema")
            return json.dumps(_value(schema if isinstance(schema, Mapping) else {"type": "object"}, answer))
        case _:
            return None


def _value(schema: Mapping[str, Any], answer: str, depth: int = 0) -> Any:
    """A value of a JSON schema, with the answer wherever there is room for it. Knows types, properties and enums."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return next((choice for choice in choices if str(choice) == answer), choices[0])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" and depth < _DEEPEST:
        properties = schema.get("properties")
        given = properties if isinstance(properties, Mapping) else {}
        return {name: _value(part, answer, depth + 1) for name, part in given.items() if isinstance(part, Mapping)}
    if kind == "array":
        items = schema.get("items")
        return [_value(items, answer, depth + 1)] if isinstance(items, Mapping) and depth < _DEEPEST else []
    if kind in {"number", "integer"}:
        return _number(answer, whole=kind == "integer")
    simple: dict[str, Any] = {"string": answer, "boolean": True, "object": {}}
    return simple.get(str(kind))


def _number(answer: str, *, whole: bool) -> float | int:
    try:
        number = float(answer)
    except ValueError:
        return 0
    return int(number) if whole else number
