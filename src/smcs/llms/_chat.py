"""Chat completions as endpoints write them: from a request to a body, and from a body to completions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from smcs.errors import BadRequestError, CallError, MalformedResponseError
from smcs.llms._thinking import split_thinking
from smcs.llms._tokens import estimate_prompt_tokens, estimate_tokens
from smcs.types import Completion, Message, Output, Request, ToolCall

Body: TypeAlias = dict[str, Any]
MaxTokensField: TypeAlias = Literal["max_tokens", "max_completion_tokens"]

RESERVED = frozenset({"model", "messages", "n", "stream", "stream_options"})
"""Keys of a request's body that are not for the user's `extra` to set."""


def request_body(
    model: str, request: Request, *, max_tokens_field: MaxTokensField, omit: Iterable[str], logprobs: bool
) -> Body:
    """The body of a request.

    Args:
        model: as the endpoint calls it.
        request: what to ask.
        max_tokens_field: what the endpoint calls the token limit.
        omit: keys that the endpoint would refuse.
        logprobs: whether the endpoint is to give log-probabilities if they are asked for.
    """
    sampling = request.sampling
    settings: Body = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        max_tokens_field: sampling.max_tokens,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) if sampling.stop else None,
        "logprobs": True if sampling.logprobs and logprobs else None,
        "n": request.n if request.n > 1 else None,
        **(_output_settings(sampling.output) if sampling.output else {}),
    }
    left_out = set(omit)
    return {
        "model": model,
        "messages": [message_body(message) for message in request.messages],
        **{key: value for key, value in settings.items() if value is not None and key not in left_out},
        **sampling.extra,
    }


def message_body(message: Message) -> Body:
    """A turn as it is sent."""
    body: Body = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [tool_call_body(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def tool_call_body(call: ToolCall) -> Body:
    """A call of a tool as it is sent."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _output_settings(output: Output) -> Body:
    """What is wanted of the answer's form; absent where nothing is."""
    return {
        "tools": list(output.tools) or None,
        "tool_choice": output.tool_choice if output.tools else None,
        "parallel_tool_calls": output.parallel_tool_calls if output.tools else None,
        "response_format": output.response_format,
        "top_logprobs": output.top_logprobs or None,
    }


@dataclass(frozen=True, slots=True)
class _Choice:
    text: str
    reasoning: str | None
    finish_reason: str
    logprobs: tuple[float, ...] | None
    tokens_given: tuple[Body, ...] | None
    tool_calls: tuple[ToolCall, ...]

    @property
    def tokens(self) -> int:
        """Generated tokens: exact where each came with its log-probability."""
        if self.logprobs:
            return len(self.logprobs)
        texts = (self.text, self.reasoning or "", *map(str, self.tool_calls))
        return sum(estimate_tokens(text) for text in texts)


def completions_of(
    body: Body, request: Request, *, llm: str, where: str, choice_error: Callable[[Body], CallError | None]
) -> list[Completion]:
    """The completions in a response's body, in the order of their index; at most as many as were asked for.

    Choices that are unusable are left out; where all are, the first one's error is raised.

    Args:
        body: of the response.
        request: that it answers.
        llm: name in the pool.
        where: the endpoint, for messages.
        choice_error: the typed error that a single choice holds, or None.

    Raises:
        CallError: there is no usable choice.
    """
    written = body.get("choices")
    if not isinstance(written, list) or not written:
        raise MalformedResponseError(f"{where} answered without any choice")
    choices: list[_Choice] = []
    errors: list[CallError] = []
    for choice in sorted((c for c in written if isinstance(c, dict)), key=_index)[: request.n]:
        outcome = choice_error(choice) or _choice(choice, where)
        (errors if isinstance(outcome, CallError) else choices).append(outcome)  # type: ignore[arg-type]
    if not choices:
        raise errors[0] if errors else MalformedResponseError(f"{where} answered with choices that are not objects")
    return _with_usage(choices, body, request, llm)


def _index(choice: Body) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _choice(choice: Body, where: str) -> _Choice | CallError:
    message = choice.get("message")
    if not isinstance(message, dict):
        return MalformedResponseError(f"{where} answered with a choice that has no message")
    finish = choice.get("finish_reason")
    finish_reason = finish if isinstance(finish, str) and finish else "stop"
    text, reasoning = _content(message.get("content"))
    for field in ("reasoning", "reasoning_content"):
        value = message.get(field)
        if reasoning is None and isinstance(value, str) and value:
            reasoning = value
    if reasoning is None:
        reasoning, text = split_thinking(text)
    if not text and isinstance(message.get("refusal"), str):
        text = message["refusal"]
    if not text.strip() and finish_reason == "content_filter":
        return BadRequestError(f"the content filter of {where} withheld the answer")
    logprobs = _logprobs(choice.get("logprobs"))
    return _Choice(
        text=_clean(text),
        reasoning=None if reasoning is None else _clean(reasoning),
        finish_reason=finish_reason,
        logprobs=logprobs,
        tokens_given=tuple(choice["logprobs"]["content"]) if logprobs else None,
        tool_calls=_tool_calls(message.get("tool_calls")),
    )


def _tool_calls(written: object) -> tuple[ToolCall, ...]:
    """The calls of functions in a message; what is no such call is left out."""
    calls = []
    for position, call in enumerate(written if isinstance(written, list) else []):
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not name:
            continue
        arguments = function.get("arguments")
        given = arguments if isinstance(arguments, str) else json.dumps(arguments if arguments is not None else {})
        identity = call.get("id")
        named = identity if isinstance(identity, str) and identity else f"call_{position}"
        calls.append(ToolCall(_clean(named), _clean(name), _clean(given)))
    return tuple(calls)


def _content(content: object) -> tuple[str, str | None]:
    """Text and reasoning of a message's content: a text, or a list of typed parts, as Mistral's reasoning LLMs send."""
    if isinstance(content, str):
        return content, None
    texts, thoughts = [], []
    for part in content if isinstance(content, list) else []:
        if not isinstance(part, dict):
            continue
        if isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part.get("thinking"), str | list):
            thinking = part["thinking"]
            thoughts.append(thinking if isinstance(thinking, str) else _content(thinking)[0])
    return "".join(texts), "".join(thoughts) or None


def _clean(text: str) -> str:
    """Without lone surrogates: JSON can hold them, but neither UTF-8 nor a database can."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _logprobs(logprobs: object) -> tuple[float, ...] | None:
    """Log-probability of each generated token; None where they are not given, or not for each token."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        return None
    values: list[Any] = [token.get("logprob") if isinstance(token, dict) else None for token in content]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        return None
    return tuple(min(float(v), 0.0) for v in values)


def _with_usage(choices: Sequence[_Choice], body: Body, request: Request, llm: str) -> list[Completion]:
    """Completions with their share of the usage that the endpoint reports for all; estimated where it reports none."""
    output = request.sampling.output
    with_tokens = output is not None and output.top_logprobs is not None
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    prompt = _count(usage.get("prompt_tokens"))
    generated = _count(usage.get("completion_tokens"))
    own = [choice.tokens for choice in choices]
    if generated is None or (len(choices) > 1 and all(c.logprobs for c in choices)):
        counts = own  # llama.cpp's server reports one choice's tokens for all: count what is there
    else:
        counts = _shares(generated, own)
    cost = usage.get("cost")  # OpenRouter's
    costs = [float(cost), *[0.0] * len(choices)] if isinstance(cost, int | float) else [None] * len(choices)
    return [
        Completion(
            llm=llm,
            text=choice.text,
            reasoning=choice.reasoning,
            finish_reason=choice.finish_reason,
            token_logprobs=choice.logprobs,
            prompt_tokens=0 if i else (estimate_prompt_tokens(request.messages) if prompt is None else prompt),
            completion_tokens=counts[i],
            cost_usd=costs[i],
            tokens=choice.tokens_given if with_tokens else None,
            tool_calls=choice.tool_calls,
        )
        for i, choice in enumerate(choices)
    ]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """A total as whole numbers in proportion to weights."""
    if len(weights) == 1:
        return [total]
    whole = sum(weights) or 1
    bounds = [0]
    seen = 0
    for weight in weights:
        seen += weight
        bounds.append(round(total * seen / whole))
    bounds[-1] = total
    return [after - before for before, after in pairwise(bounds)]
