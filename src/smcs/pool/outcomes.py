"""What a call comes to: a completion that can be used, with its price, or a failure with its reason."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeAlias

from smcs.config import LLMSettings
from smcs.errors import CallError, LogprobsUnavailableError, MalformedResponseError, SmcsError, UnsupportedError
from smcs.types import Completion, Failure, LLMInfo, Output

Result: TypeAlias = Completion | Failure


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a completion cannot be used, and whether trying again may help."""

    error: CallError
    again: bool


def failure_of(error: SmcsError, llm: str, seconds: float = 0.0) -> Failure:
    """A failed call as a recorded value.

    Args:
        error: what went wrong.
        llm: name in the pool.
        seconds: how long it took to fail.
    """
    if isinstance(error, CallError):
        return Failure(llm, error.kind, str(error), error.attempts, seconds, error.charged)
    kind = "".join("_" + c.lower() if c.isupper() else c for c in type(error).__name__.removesuffix("Error"))
    return Failure(llm, kind.lstrip("_"), str(error), 1, seconds, charged=False)


def rejection(completion: Completion, info: LLMInfo, *, logprobs: bool) -> Rejection | None:
    """Why a completion cannot be used, or None where it can.

    Args:
        completion: what the backend gave.
        info: of the LLM.
        logprobs: whether log-probabilities were asked for.
    """
    if not completion.text.strip() and not completion.tool_calls:
        if completion.finish_reason == "length":
            thinking = "in its reasoning " if completion.reasoning else ""
            message = f"{info.name} used up its token limit {thinking}before it began to answer; raise max_tokens"
            return Rejection(MalformedResponseError(message), again=False)
        return Rejection(MalformedResponseError(f"{info.name} generated nothing"), again=True)
    if logprobs and completion.token_logprobs is None and not completion.tool_calls:
        return Rejection(logprobs_unavailable(info), again=False)
    return None


def unsupported(info: LLMInfo, output: Output | None) -> UnsupportedError | None:
    """The error of an LLM that cannot do what is wanted of the answer, or None where it can."""
    for feature in output.features if output else ():
        if feature not in info.features:
            wanted = {"tools": "be given tools", "response_format": "be held to a response format"}
            can = wanted.get(feature, "give the log-probabilities of its tokens")
            return UnsupportedError(f"{info.name} ({info.model} on backend {info.backend!r}) cannot {can}", feature)
    return None


def logprobs_unavailable(info: LLMInfo) -> LogprobsUnavailableError:
    """The error of an LLM that gives no log-probabilities though they are needed."""
    return LogprobsUnavailableError(
        f"{info.name} ({info.model} on backend {info.backend!r}) gives no token log-probabilities, "
        "which perplexity needs; set lambda = 0, or another aggregator"
    )


def priced(info: LLMInfo, settings: LLMSettings) -> LLMInfo:
    """What is known of an LLM, with the prices and context length of its settings before the backend's own."""
    return dataclasses.replace(
        info,
        name=settings.name,
        price_prompt=info.price_prompt if settings.price_prompt is None else settings.price_prompt,
        price_completion=info.price_completion if settings.price_completion is None else settings.price_completion,
        context_length=info.context_length or settings.context_length,
    )


def finished(completion: Completion, info: LLMInfo, seconds: float, attempts: int) -> Completion:
    """A backend's completion with what only the pool knows: name, price, time and tries."""
    if info.price_prompt is None or info.price_completion is None:
        cost = completion.cost_usd  # the endpoint's own word, if it has one
    else:
        micro = completion.prompt_tokens * info.price_prompt + completion.completion_tokens * info.price_completion
        cost = micro / 1e6
    return Completion(
        llm=info.name,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        token_logprobs=completion.token_logprobs,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cost_usd=cost,
        seconds=seconds,
        attempts=attempts,
        tokens=completion.tokens,
        tool_calls=completion.tool_calls,
    )
