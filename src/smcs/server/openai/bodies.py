"""Chat completions as the OpenAI API writes them, with what this server adds under ``smcs``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from smcs.server.openai.schemas import ChatRequest
from smcs.server.service import Ask, Served
from smcs.types import Answer, Completion, ToolCall, Trace, trace_to_dict

Body = dict[str, Any]

_FINISHED = frozenset({"stop", "length", "tool_calls", "content_filter"})


def choices_of(answer: Answer, n: int) -> tuple[Completion, ...]:
    """The n best responses, the answer first."""
    return (answer.choices or (Completion("", answer.text),))[:n]


def choice_body(index: int, completion: Completion) -> Body:
    """One choice."""
    message: Body = {"role": "assistant", "content": completion.text or None, "refusal": None}
    if completion.tool_calls:
        message["tool_calls"] = tool_call_bodies(completion)
    return {
        "index": index,
        "message": message,
        "finish_reason": finish_reason(completion),
        "logprobs": logprobs_body(completion),
    }


def tool_call_bodies(completion: Completion) -> list[Body]:
    """Its calls of tools."""
    return [_tool_call_body(call) for call in completion.tool_calls]


def _tool_call_body(call: ToolCall) -> Body:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def finish_reason(completion: Completion) -> str:
    """Why it ended, in the API's words."""
    if completion.tool_calls:
        return "tool_calls"
    return completion.finish_reason if completion.finish_reason in _FINISHED - {"tool_calls"} else "stop"


def logprobs_body(completion: Completion) -> Body | None:
    """Log-probabilities of its tokens, where they were asked for."""
    if completion.tokens is None:
        return None
    return {"content": [_token_body(token) for token in completion.tokens], "refusal": None}


def _token_body(token: Any) -> Body:
    alternatives = token.get("top_logprobs")
    return {
        **_token(token),
        "top_logprobs": [_token(t) for t in alternatives if isinstance(t, dict)] if alternatives else [],
    }


def _token(token: Any) -> Body:
    text = str(token.get("token", ""))
    given = token.get("bytes")
    data = given if isinstance(given, list) else list(text.encode("utf-8", "replace"))
    return {"token": text, "logprob": token.get("logprob"), "bytes": data}


def usage_body(answer: Answer) -> Body:
    """What the answer took over all calls, with its parts."""
    total = answer.usage
    trace = answer.trace
    references = _part(r.completion for r in trace.referencers)
    aggregations = _part(a.completion for a in trace.aggregations)
    other = {
        "prompt_tokens": total.prompt_tokens - references["prompt_tokens"] - aggregations["prompt_tokens"],
        "completion_tokens": total.completion_tokens
        - references["completion_tokens"]
        - aggregations["completion_tokens"],
    }
    return {
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": total.prompt_tokens + total.completion_tokens,
        "smcs": {
            "calls": total.calls,
            "cost_usd": total.cost_usd,
            "references": references,
            "aggregations": aggregations,
            "other": other,
        },
    }


def _part(completions: Iterable[Completion | None]) -> Body:
    present = [c for c in completions if c is not None]
    costs = [c.cost_usd for c in present]
    return {
        "responses": len(present),
        "prompt_tokens": sum(c.prompt_tokens for c in present),
        "completion_tokens": sum(c.completion_tokens for c in present),
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost is not None),
    }


def smcs_body(request: ChatRequest, ask: Ask, answer: Answer, default: str) -> Body:
    """What this server says of the answer; everything, where it is asked to explain.

    Args:
        default: what the configured strategy is called.
    """
    body: Body = {
        "strategy": ask.strategy_label or default,
        "seed": answer.seed,
        "seconds": round(answer.seconds, 4),
        "cuts": list(answer.trace.cuts),
    }
    return {**body, "trace": trace_body(answer.trace)} if request.smcs.explain else body


def trace_body(trace: Trace) -> Body:
    """The trace, with null for numbers that JSON does not know."""
    made: Body = _finite(trace_to_dict(trace))
    return made


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value


def completion_body(request: ChatRequest, ask: Ask, served: Served, default: str, created: int) -> Body:
    """The whole response."""
    answer = served.answer
    return {
        "id": served.id,
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": [choice_body(i, c) for i, c in enumerate(choices_of(answer, request.n))],
        "usage": usage_body(answer),
        "system_fingerprint": None,
        "smcs": smcs_body(request, ask, answer, default),
    }
