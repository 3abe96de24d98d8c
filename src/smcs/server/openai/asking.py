"""From a request for a chat completion to what the service is asked."""

from __future__ import annotations

import secrets
from typing import Any

from smcs.server.openai.conversation import conversation
from smcs.server.openai.errors import ApiError
from smcs.server.openai.models import strategy_of
from smcs.server.openai.schemas import ChatRequest, TextFormat
from smcs.server.service import Ask
from smcs.strategies import StrategySpec, settings_of
from smcs.system import System
from smcs.types import Limits, Output, Question

_SAMPLES = {"smcs": "n_aggregations", "single": "n", "best-of-n": "n"}
"""What makes a strategy rank more than one response."""
_OF_THE_METHOD = frozenset(
    {
        *("k", "n_aggregations", "n_drop", "n_base", "gamma", "ppl_score"),
        *("prior", "drop", "posterior", "aggregator"),
        *("adaptive", "agreement", "tolerance", "skip_agreeing"),
    }
)


def ask_of(request: ChatRequest, system: System) -> Ask:
    """What the service is asked.

    Raises:
        ApiError: the request contradicts itself, or wants what cannot be had; names the key.
        UsageError: a strategy or setting is wrong.
    """
    turns = conversation(request.messages)
    direct = request.model in system.pool and request.model != "smcs"
    if direct and request.smcs.strategy is not None:
        raise ApiError(400, "an LLM of the pool answers by itself: ask model 'smcs' instead", "smcs.strategy")
    strategy = strategy_of(request.model, system)
    if request.smcs.strategy is not None:
        strategy = strategy_of(f"smcs/{request.smcs.strategy}", system, "smcs.strategy")
    settings, output = _settings(request), _output(request)
    if output is not None and (output.stop or output.max_tokens) and settings.get("adaptive", system.settings.adaptive):
        settings["skip_agreeing"] = 0.0  # references are not asked to keep to these, so none can be the answer
    strategy, more = _ranking(request.n, strategy or system.strategy, system, settings)
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed % 2**63
    extras = request.smcs
    return Ask(
        # An LLM that is asked by its own name is given no instructions but the client's.
        question=Question(turns.question, system="" if direct else None, after=turns.after, output=output),
        history=turns.history,
        seed=seed,
        strategy=strategy,
        settings={**settings, **more},
        limits=Limits(extras.budget_calls, extras.budget_tokens, extras.budget_usd, extras.deadline_s),
        user=request.user,
    )


def _settings(request: ChatRequest) -> dict[str, Any]:
    extras = request.smcs
    given = {name: getattr(extras, name) for name in _OF_THE_METHOD if getattr(extras, name) is not None}
    if extras.lambda_ is not None:
        given["lambda"] = extras.lambda_
    if extras.sampling is not None:
        given["sampling"] = extras.sampling.model_dump(exclude_none=True)
    return given


def _ranking(
    n: int, spec: StrategySpec, system: System, settings: dict[str, Any]
) -> tuple[StrategySpec | None, dict[str, Any]]:
    """The strategy, and settings of the method, that give at least n responses in an order.

    Raises:
        ApiError: the strategy gives but one.
    """
    unchanged = None if spec == system.strategy else spec
    if n == 1:
        return unchanged, {}
    if spec.name not in _SAMPLES:
        raise ApiError(400, f"n: strategy {spec.name!r} gives one answer, and n = {n} asks for more", "n")
    method, own = settings_of(spec, system.settings)
    if spec.name == "smcs":
        at_least = max(n, int(settings.get("n_aggregations", method.n_aggregations)))
        return unchanged, {"n_aggregations": at_least, "adaptive": False}
    more = n if spec.name == "single" else max(n, own.n)
    return StrategySpec(spec.name, {**spec.settings, "n": more}, spec.label), {}


def _output(request: ChatRequest) -> Output | None:
    if request.top_logprobs is not None and not request.logprobs:
        raise ApiError(400, "top_logprobs: it needs logprobs = true", "top_logprobs", "invalid_value")
    if request.tool_choice not in {None, "none", "auto"} if isinstance(request.tool_choice, str | None) else True:
        _check_choice(request)
    limits = [limit for limit in (request.max_tokens, request.max_completion_tokens) if limit is not None]
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()) or None
    wanted_format = request.response_format
    output = Output(
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=min(limits, default=None),
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        stop=stop,
        tools=tuple(tool.model_dump(exclude_none=True) for tool in request.tools or ()),
        tool_choice=_choice(request),
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=None
        if wanted_format is None or isinstance(wanted_format, TextFormat)
        else wanted_format.model_dump(exclude_none=True, by_alias=True),
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )
    return output if output != Output() else None


def _choice(request: ChatRequest) -> str | dict[str, Any] | None:
    chosen = request.tool_choice
    return chosen if chosen is None or isinstance(chosen, str) else chosen.model_dump()


def _check_choice(request: ChatRequest) -> None:
    """Check that what has to be called is among the tools."""
    names = [tool.function.name for tool in request.tools or ()]
    chosen = request.tool_choice
    wanted = chosen.function.name if chosen is not None and not isinstance(chosen, str) else None
    if not names or (wanted is not None and wanted not in names):
        which = repr(wanted) if wanted is not None else "a tool"
        raise ApiError(400, f"tool_choice: {which} is to be called, and is not among the tools", "tool_choice")
