"""What the simulated endpoint reads and writes, in the OpenAI API's form."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

from smcs.llms._chat import tool_call_body
from smcs.llms._simulation import tokens_of
from smcs.types import Completion, Message, Output, Request, Sampling, ToolCall

Body: TypeAlias = dict[str, Any]
ReasoningIn: TypeAlias = Literal["reasoning", "reasoning_content", "think_tags", "closing_tag"]


def request_of(body: Body) -> Request:
    """The request that a body makes.

    Raises:
        ValueError: it is no request, and why.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("'messages' must be a list with at least one message")
    try:
        turns = tuple(_turn(m) for m in messages)
    except (TypeError, KeyError):
        raise ValueError("a message needs 'role' and 'content'") from None
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    sampling = Sampling(
        temperature=body.get("temperature"),
        max_tokens=limit if isinstance(limit, int) else None,
        seed=body.get("seed"),
        logprobs=bool(body.get("logprobs")),
        output=_output_of(body),
    )
    n = body.get("n", 1)
    if not isinstance(n, int) or n < 1:
        raise ValueError("'n' must be a positive whole number")
    return Request(turns, sampling, n)


def _turn(message: Body) -> Message:
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    )
    return Message(message["role"], str(message["content"]), calls, message.get("tool_call_id"))


def _output_of(body: Body) -> Output | None:
    output = Output(
        tools=tuple(body.get("tools") or ()),
        tool_choice=body.get("tool_choice"),
        response_format=body.get("response_format"),
    )
    return output if output.features else None


def body_of(model: str, completions: Sequence[Completion], reasoning_in: ReasoningIn, number: int) -> Body:
    """The body that answers a request."""
    prompt = sum(c.prompt_tokens for c in completions)
    generated = sum(c.completion_tokens for c in completions)
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [_choice(i, completion, reasoning_in) for i, completion in enumerate(completions)],
        "usage": {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated},
    }


def _choice(index: int, completion: Completion, reasoning_in: ReasoningIn) -> Body:
    message: Body = {"role": "assistant", "content": completion.text}
    if completion.reasoning is not None:
        if reasoning_in in {"reasoning", "reasoning_content"}:
            message[reasoning_in] = completion.reasoning
        else:
            opening = "<think>\n" if reasoning_in == "think_tags" else ""
            message["content"] = f"{opening}{completion.reasoning}\n</think>\n\n{completion.text}"
    if completion.tool_calls:
        message["tool_calls"] = [tool_call_body(call) for call in completion.tool_calls]
        message["content"] = None
    logprobs = None
    if completion.token_logprobs is not None and not completion.tool_calls:
        tokens = tokens_of(completion.reasoning or "") + tokens_of(completion.text)
        logprobs = {
            "content": [
                {"token": token, "logprob": logprob, "top_logprobs": []}
                for token, logprob in zip(tokens, completion.token_logprobs, strict=True)
            ]
        }
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": completion.finish_reason}


def chunks_of(body: Body, *, include_usage: bool) -> Iterator[Body]:
    """The same body as the chunks of a stream: a token at a time, the choices in turn."""
    head = {key: body.get(key) for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    parts = [list(_deltas(choice)) for choice in body.get("choices", [])]
    for step in range(max(map(len, parts), default=0)):
        for deltas in parts:
            if step < len(deltas):
                yield {**head, "choices": [deltas[step]]}
    if include_usage and body.get("usage"):
        yield {**head, "choices": [], "usage": body["usage"]}


def _deltas(choice: Body) -> Iterator[Body]:
    message = choice["message"]
    index = choice["index"]
    yield {"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    logprobs = list((choice.get("logprobs") or {}).get("content", ()))
    for field in ("reasoning", "reasoning_content", "content", "refusal"):
        for token in re.findall(r"\s*\S+|\s+", message.get(field) or ""):
            given, logprobs = logprobs[:1], logprobs[1:]
            with_it = {"logprobs": {"content": given}} if given else {}
            yield {"index": index, "delta": {field: token}, "finish_reason": None, **with_it}
    for number, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        half = len(function["arguments"]) // 2
        first = {**call, "index": number, "function": {**function, "arguments": function["arguments"][:half]}}
        second = {"index": number, "function": {"arguments": function["arguments"][half:]}}
        for part in (first, second):
            yield {"index": index, "delta": {"tool_calls": [part]}, "finish_reason": None}
    rest = {"logprobs": {"content": logprobs}} if logprobs else {}
    yield {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason"), **rest}


def without(body: Body, kind: str) -> Body:
    """The body, lacking something."""
    lacking = copy.deepcopy(body)
    match kind:
        case "no_choices":
            lacking["choices"] = []
        case "fewer_choices":
            lacking["choices"] = lacking["choices"][:1]
        case "empty_text" | "null_content":
            for choice in lacking["choices"]:
                choice["message"] = {"role": "assistant", "content": "" if kind == "empty_text" else None}
                choice["logprobs"] = None
    return lacking


def embeddings_of(model: str, texts: Sequence[str], dimension: int) -> Body:
    """The body that answers a request for embeddings: hashed words, so that texts with common words are near."""
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": i, "embedding": _embedding(text, dimension)}
            for i, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": sum(len(t.split()) for t in texts), "total_tokens": 0},
    }


def _embedding(text: str, dimension: int) -> list[float]:
    vector = [0.0] * dimension
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        vector[int.from_bytes(digest[:4]) % dimension] += 1.0 if digest[4] & 1 else -1.0
    if not any(vector):
        vector[0] = 1.0
    return vector


def error_body(message: str, status: int, code: str | None = None) -> bytes:
    """The body of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code or status}}).encode()
