"""Tools in words, for LLMs that only give a reference: what could be called, what was called, and what it gave."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from smcs.types import Message, Output, Question


def in_words(question: Question, history: Sequence[Message]) -> tuple[Question, tuple[Message, ...]]:
    """The same conversation with its tools in words, and nothing wanted of the response's form.

    Returns:
        Equal to what was given where there is nothing to put in words.
    """
    plain = dataclasses.replace(question, after=_turns_in_words(question.after), output=None)
    turns = _turns_in_words(history)
    tools = _tools_in_words(question.output) if question.output else ""
    return plain, (*turns, Message("system", tools)) if tools else turns


def _turns_in_words(turns: Iterable[Message]) -> tuple[Message, ...]:
    """Turns without calls of tools or tools' answers; several answers in a row are one turn."""
    names: dict[str, str] = {}
    plain: list[Message] = []
    after_tool = False
    for turn in turns:
        names |= {call.id: call.name for call in turn.tool_calls}
        if turn.role == "tool":
            content = f"[{names.get(turn.tool_call_id or '', 'The tool')} gave:]\n{turn.content}"
            if after_tool:
                content = f"{plain.pop().content}\n\n{content}"
            plain.append(Message("user", content))
        elif turn.tool_calls:
            calls = "\n".join(f"[calls {call}]" for call in turn.tool_calls)
            plain.append(Message(turn.role, f"{turn.content}\n{calls}".strip()))
        else:
            plain.append(turn)
        after_tool = turn.role == "tool"
    return tuple(plain)


def _tools_in_words(output: Output) -> str:
    if not output.tools or output.tool_choice == "none":
        return ""
    described = "\n".join(json.dumps(_function(tool), ensure_ascii=False) for tool in output.tools)
    return f"{_introduction()}{_must(output.tool_choice)}\n\n{described}"


@cache
def _introduction() -> str:
    return files("smcs.prompts").joinpath("tools_system.txt").read_text(encoding="utf-8").strip()


def _must(choice: str | Mapping[str, Any] | None) -> str:
    if choice == "required":
        return " One of them must be called now."
    return f" {_function(choice).get('name')} must be called now." if isinstance(choice, Mapping) else ""


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = tool.get("function")
    return function if isinstance(function, Mapping) else tool
