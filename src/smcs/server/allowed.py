"""What a request may set: how the pool works, but no file, and nothing of its own in the bodies of calls."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from smcs import registry
from smcs.config import plain_names
from smcs.errors import ConfigError
from smcs.protocols import StrategyModule
from smcs.strategies import StrategySpec, parse_specs

_SAMPLING = ("sampling", "aggregation_sampling")


def checked(strategy: StrategySpec | str | None, settings: Mapping[str, Any]) -> StrategySpec | None:
    """The strategy that a request names, with nothing in it or in the settings that is not for requests to set.

    Raises:
        ConfigError: there is; says what.
        UnknownNameError: there is no such strategy.
    """
    spec = _one(strategy) if isinstance(strategy, str) else strategy
    for name, value in _given(spec, settings):
        if name in _SAMPLING and isinstance(value, Mapping) and value.get("extra"):
            raise ConfigError(f"{name}.extra cannot be set by a request; set it in the pool file")
    if spec is not None:
        for name in spec.settings:
            if _names_files(spec.name, name):
                raise ConfigError(f"{name!r} of strategy {spec.name!r} names a file, which a request must not")
    return spec


def _one(text: str) -> StrategySpec:
    specs = parse_specs([text])
    if len(specs) > 1:
        raise ConfigError(f"one strategy answers a question, not {len(specs)}")
    return specs[0]


def _given(spec: StrategySpec | None, settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from plain_names(settings).items()
    if spec is not None:
        yield from plain_names(spec.settings).items()


def _names_files(strategy: str, setting: str) -> bool:
    module: StrategyModule = registry.find("strategies", strategy)
    field = module.Settings.model_fields.get(setting)
    return field is not None and Path in _types(field.annotation)


def _types(annotation: Any) -> set[Any]:
    """All types that stand in an annotation."""
    inner = typing.get_args(annotation)
    return {annotation}.union(*map(_types, inner)) if inner else {annotation}
