"""A streamed chat completion, put together into the body that would have come at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smcs.llms._chat import Body

_TEXTS = ("content", "reasoning", "reasoning_content", "refusal")


class StreamedBody:
    """Collects the chunks of an event stream.

    Args:
        tokens: told of the number of tokens so far, over all choices: counted by their log-probabilities where they
            come, else by chunks, of which most hold one token.
    """

    def __init__(self, tokens: Callable[[int], None]) -> None:
        self._report = tokens
        self._tokens = 0
        self._choices: dict[int, dict[str, Any]] = {}
        self._rest: Body = {}

    def add(self, chunk: Body) -> None:
        """Add one chunk; a whole body, from an endpoint that does not stream, also counts as one."""
        self._rest |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        choices = chunk.get("choices")
        before = self._tokens
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                self._add_choice(choice)
        if self._tokens > before:
            self._report(self._tokens)

    def ended(self) -> bool:
        """Whether every choice has come to its end: then a stream that lacks its last line has lost nothing."""
        return bool(self._choices) and all(choice.get("finish_reason") for choice in self._choices.values())

    def body(self) -> Body:
        """All of it, as one response."""
        return {**self._rest, "choices": [_joined(choice) for choice in self._choices.values()]}

    def _add_choice(self, choice: Body) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        into = self._choices.setdefault(index, {"index": index, "texts": {}, "logprobs": [], "tools": {}})
        part = choice.get("delta") or choice.get("message")
        has_text = False
        for field in _TEXTS:
            value = part.get(field) if isinstance(part, dict) else None
            if isinstance(value, str | list) and value:
                has_text = True
                into["texts"].setdefault(field, []).append(value)
        if isinstance(part, dict) and isinstance(part.get("tool_calls"), list):
            has_text = _add_tool_calls(into["tools"], part["tool_calls"]) or has_text
        logprobs = choice.get("logprobs")
        content = logprobs.get("content") if isinstance(logprobs, dict) else None
        if isinstance(content, list):
            into["logprobs"] += content
        self._tokens += len(content) if isinstance(content, list) and content else int(has_text)
        for field in ("finish_reason", "error"):
            if choice.get(field):
                into[field] = choice[field]


def _joined(choice: Body) -> Body:
    message: Body = {field: _text(pieces) for field, pieces in choice["texts"].items()}
    logprobs = {"content": choice["logprobs"]} if choice["logprobs"] else None
    rest: Body = {key: choice[key] for key in ("index", "finish_reason", "error") if key in choice}
    if choice["tools"]:
        message["tool_calls"] = list(choice["tools"].values())
    return {**rest, "message": {"content": None, **message}, "logprobs": logprobs}


def _add_tool_calls(into: dict[int, Body], parts: list[Any]) -> bool:
    """Add parts of calls of tools: the first of a call has its name, the others more of its arguments."""
    for position, part in enumerate(parts):
        function = part.get("function") if isinstance(part, dict) else None
        if not isinstance(function, dict):
            continue
        index = part.get("index")
        call = into.setdefault(
            index if isinstance(index, int) else position, {"id": None, "function": {"name": "", "arguments": ""}}
        )
        call["id"] = call["id"] or part.get("id")
        call["function"]["name"] = call["function"]["name"] or function.get("name")
        more = function.get("arguments")
        call["function"]["arguments"] += more if isinstance(more, str) else ""
    return bool(parts)


def _text(pieces: list[Any]) -> str | list[Any]:
    """Pieces of a text joined; lists of typed parts become one list."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    parts: list[Any] = []
    for piece in pieces:
        parts += [{"type": "text", "text": piece}] if isinstance(piece, str) else piece
    return parts
