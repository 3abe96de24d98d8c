"""Model names: ``smcs``, ``smcs/<strategy>``, and each LLM of the pool by its own name."""

from __future__ import annotations

from fastapi import APIRouter

from smcs import registry
from smcs.errors import UnknownNameError
from smcs.registry import did_you_mean
from smcs.server.openai.errors import ApiError
from smcs.server.service import Service
from smcs.strategies import StrategySpec, parse_specs
from smcs.system import System

DEFAULT = "smcs"
_PREFIX = "smcs/"


def names(system: System) -> list[str]:
    """All model names, without settings."""
    return [DEFAULT, *(_PREFIX + name for name in registry.names("strategies")), *system.pool.names]


def strategy_of(model: str, system: System) -> StrategySpec | None:
    """What answers as a model; None is the configured default.

    Raises:
        ApiError: there is no such model.
        ConfigError: the strategy's settings are not written as they should be.
    """
    if model == DEFAULT:
        return None
    if model.startswith(_PREFIX):
        try:
            (spec,) = parse_specs([model.removeprefix(_PREFIX)])
        except (UnknownNameError, ValueError):
            raise _unknown(model, system) from None
        return spec
    if model in system.pool:
        return StrategySpec("single", {"llm": model}, f"single:llm={model}")
    raise _unknown(model, system)


def router(service: Service) -> APIRouter:
    """``/v1/models``."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.get("/v1/models", summary="All models")
    async def models() -> dict[str, object]:
        return {"object": "list", "data": [_entry(name) for name in names(service.house.system)]}

    @routes.get("/v1/models/{model:path}", summary="One model")
    async def model(model: str) -> dict[str, object]:
        strategy_of(model, service.house.system)
        return _entry(model)

    return routes


def _entry(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "smcs"}


def _unknown(model: str, system: System) -> ApiError:
    hint = did_you_mean(model, names(system))
    return ApiError(404, f"there is no model {model!r}{hint}", "model", "model_not_found")
