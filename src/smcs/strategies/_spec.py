"""Strategies as a command line names them: ``moa``, ``moa:layers=2``, ``smcs:k=5:drop=none``.

After the name come settings, each after a colon: the strategy's own, and those of the method (`SMCSSettings`), which
hold for this strategy alone. Values are TOML, or texts where they are not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smcs import registry
from smcs.config import SMCSSettings, changed, merge, parse_override, plain_names, validate
from smcs.errors import ConfigError
from smcs.protocols import Strategy, StrategyModule
from smcs.registry import did_you_mean
from smcs.strategies._parts import Parts

EVERY = "*"
"""As the ``llm`` of a strategy: one strategy for each LLM of the pool."""


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy with its settings.

    Attributes:
        name: of its module.
        settings: its own settings and overrides of the method's, nested as in TOML.
        label: how it was written; what tables call it.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)


def parse_specs(text: str | Iterable[str]) -> list[StrategySpec]:
    """Strategies separated by commas.

    Raises:
        ConfigError: one is not written as it should be, or stands there twice.
        UnknownNameError: there is no such strategy.
    """
    written = [part for one in ([text] if isinstance(text, str) else text) for part in _split(one, ",")]
    specs = [parse_spec(part) for part in written if part.strip()]
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"the strategy {label!r} is named twice")
    if not specs:
        raise ConfigError(f"no strategy is named (known: {', '.join(registry.names('strategies'))})")
    return specs


def parse_spec(text: str) -> StrategySpec:
    """One strategy with its settings (see `parse_specs`)."""
    name, *parts = [part.strip() for part in _split(text.strip(), ":")]
    registry.find("strategies", name)
    settings: dict[str, Any] = {}
    for part in _joined(parts, text):
        settings = merge(settings, parse_override(part))
    return StrategySpec(name, settings, text.strip())


def expand(specs: Sequence[StrategySpec], llms: Sequence[str]) -> list[StrategySpec]:
    """The same with ``single:llm=*`` as one strategy for each LLM."""
    expanded: list[StrategySpec] = []
    for spec in specs:
        if spec.settings.get("llm") != EVERY:
            expanded.append(spec)
            continue
        for llm in llms:
            label = spec.label.replace(f"llm={EVERY}", f"llm={llm}")
            expanded.append(StrategySpec(spec.name, {**spec.settings, "llm": llm}, label))
    return expanded


def settings_of(spec: StrategySpec, method: SMCSSettings) -> tuple[SMCSSettings, Any]:
    """The method's settings with what the strategy overrides, and the strategy's own.

    Raises:
        ConfigError: a key or value is wrong.
        UnknownNameError: there is no such strategy.
    """
    module: StrategyModule = registry.find("strategies", spec.name)
    own = {key: value for key, value in spec.settings.items() if key in module.Settings.model_fields}
    rest = plain_names({key: value for key, value in spec.settings.items() if key not in own})
    for key in rest:
        if key not in SMCSSettings.model_fields:
            known = sorted([*module.Settings.model_fields, *SMCSSettings.model_fields])
            raise ConfigError(f"strategy {spec.label!r}: unknown key {key!r}{did_you_mean(key, known)}")
    where = f"strategy {spec.label!r}"
    return changed(method, rest, where), validate(module.Settings, own, where)


def build(spec: StrategySpec, parts: Parts) -> Strategy:
    """The strategy over these parts.

    Raises:
        ConfigError: a key or value is wrong, or cannot be met by the pool or the bank.
        UnknownNameError: there is no such strategy.
    """
    method, own = settings_of(spec, parts.method)
    module: StrategyModule = registry.find("strategies", spec.name)
    return module.create(dataclasses.replace(parts, method=method), own)


def _split(text: str, separator: str) -> list[str]:
    """Split where the separator stands outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if character == separator and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _joined(parts: Sequence[str], text: str) -> list[str]:
    """Settings, with a part that has no ``=`` as the rest of the one before: LLMs' names hold colons."""
    joined: list[str] = []
    for part in parts:
        if "=" in part:
            joined.append(part)
        elif joined:
            joined[-1] += f":{part}"
        else:
            raise ConfigError(f"strategy {text!r}: after the name come settings, such as {text.partition(':')[0]}:k=5")
    return joined
