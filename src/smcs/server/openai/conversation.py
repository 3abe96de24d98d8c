"""From a request's messages to the question, the turns before it, and those after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smcs.server.openai.errors import ApiError
from smcs.server.openai.schemas import AssistantTurn, Content, SystemTurn, ToolTurn, Turn
from smcs.types import Message, ToolCall


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation around its question: the last turn of the user."""

    history: tuple[Message, ...]
    question: str
    after: tuple[Message, ...]


def conversation(turns: Sequence[Turn]) -> Conversation:
    """The conversation that messages make. Developer messages are system messages.

    Raises:
        ApiError: no user has asked anything, or a tool answers a call that nobody made.
    """
    last = next((i for i in reversed(range(len(turns))) if turns[i].role == "user"), None)
    messages = [_message(turn) for turn in turns]
    if last is None or not messages[last].content.strip():
        raise ApiError(400, "messages: there is no turn of the user that asks anything", "messages", "invalid_value")
    _check_tools(turns)
    system = tuple(m for m in messages[last + 1 :] if m.role == "system")
    return Conversation(
        (*messages[:last], *system),
        messages[last].content,
        tuple(m for m in messages[last + 1 :] if m.role != "system"),
    )


def _message(turn: Turn) -> Message:
    if isinstance(turn, SystemTurn):
        return Message("system", _text(turn.content))
    if isinstance(turn, ToolTurn):
        return Message("tool", _text(turn.content), tool_call_id=turn.tool_call_id)
    if isinstance(turn, AssistantTurn):
        calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in turn.tool_calls or ())
        return Message("assistant", _text(turn.content) or turn.refusal or "", calls)
    return Message("user", _text(turn.content))


def _text(content: Content | None) -> str:
    if isinstance(content, list):
        return "\n".join(part.text for part in content)
    return content or ""


def _check_tools(turns: Sequence[Turn]) -> None:
    called: set[str] = set()
    for i, turn in enumerate(turns):
        if isinstance(turn, AssistantTurn):
            called |= {call.id for call in turn.tool_calls or ()}
        elif isinstance(turn, ToolTurn) and turn.tool_call_id not in called:
            place = f"messages.{i}.tool_call_id"
            raise ApiError(400, f"{place}: no assistant's turn before made the call", place, "invalid_value")
