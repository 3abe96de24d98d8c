"""Model names: ``smcs``, ``smcs/<strategy>``, and each LLM of the pool by its own name."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from smcs import registry
from smcs.errors import UnknownNameError
from smcs.registry import did_you_mean
from smcs.server.openai.errors import ApiError
from smcs.server.service import Service
from smcs.strategies import StrategySpec, parse_specs
from smcs.system import System

DEFAULT = "smcs"
EMBEDDER = "embedder"
"""The pool's embedder, which has its own name, too."""
_PREFIX = "smcs/"


def names(system: System) -> list[str]:
    """All model names, without settings."""
    return [DEFAULT, *(_PREFIX + name for name in _strategies()), *system.pool.names]


@cache
def _strategies() -> tuple[str, ...]:
    return tuple(registry.names("strategies"))


def strategy_of(model: str, system: System, param: str = "model") -> StrategySpec | None:
    """What answers as a model; None is the configured default.

    Args:
        param: where the name stands in the request.

    Raises:
        ApiError: there is no such model.
        ConfigError: the strategy's settings are not written as they should be.
    """
    if model == DEFAULT:
        return None
    if model.startswith(_PREFIX):
        try:
            specs = parse_specs([model.removeprefix(_PREFIX)])
        except UnknownNameError:
            raise _unknown(model, system, param) from None
        if len(specs) > 1:
            raise ApiError(400, f"{param}: one strategy answers, not {len(specs)}", param, "invalid_value")
        return specs[0]
    if model in system.pool:
        return StrategySpec("single", {"llm": model}, f"single:llm={model}")
    raise _unknown(model, system, param)


class Model(BaseModel):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "smcs"


class Models(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


def router(service: Service) -> APIRouter:
    """``/v1/models``."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.get("/v1/models", summary="All models")
    async def models() -> Models:
        system = service.house.system
        embedder = system.bank.embedder.name
        return Models(data=[Model(id=name) for name in dict.fromkeys([*names(system), EMBEDDER, embedder])])

    @routes.get("/v1/models/{model:path}", summary="One model")
    async def one(model: Annotated[str, Path(min_length=1, max_length=500)]) -> Model:
        system = service.house.system
        if model not in {EMBEDDER, system.bank.embedder.name}:
            strategy_of(model, system)
        return Model(id=model)

    return routes


def _unknown(model: str, system: System, param: str) -> ApiError:
    hint = did_you_mean(model, names(system))
    code = "model_not_found" if param == "model" else "invalid_value"
    return ApiError(404 if param == "model" else 400, f"there is no model {model!r}{hint}", param, code)
