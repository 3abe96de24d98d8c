"""Pool files, method settings and presets: TOML in, typed values out, unknown keys rejected.

Each backend has its own settings, a subclass of `LLMSettings` or `EmbedderSettings`; `load_pool` is told how to find
them by name, so that this module knows no backend.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from smcs.errors import ConfigError
from smcs.registry import did_you_mean
from smcs.types import Sampling

SettingsT = TypeVar("SettingsT", bound=BaseModel)
PositiveInt: TypeAlias = Annotated[int, Field(ge=1)]
Price: TypeAlias = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Base of all settings: frozen, strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SamplingSettings(Settings):
    """How to generate, as written in a pool file. What is absent keeps the value of the next outer level."""

    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    stop: tuple[str, ...] | None = None
    extra: dict[str, Any] = Field(default_factory=dict)

    def to_sampling(self) -> Sampling:
        """The same as a value."""
        return Sampling(**{name: getattr(self, name) for name in type(self).model_fields})


class LLMSettings(Settings):
    """What every LLM of a pool may set, whatever its backend.

    Attributes:
        name: unique in the pool; what traces and tables show.
        price_prompt: US dollars per million prompt tokens.
        price_completion: US dollars per million generated tokens.
        context_length: tokens of prompt and completion together, where the backend cannot tell.
        max_concurrency: most calls at once.
        timeout_s: most seconds for one attempt.
        max_retries: how often a call that failed for a passing reason is tried again.
        max_backoff_s: longest wait between two attempts; an endpoint that asks for more (``Retry-After``) is given up.
        breaker_failures: calls in a row that fail for good before it is left alone for a while; 0 for never.
        breaker_s: seconds for which it is left alone at first, before a small call tries it.
        system: system prompt for this LLM instead of the strategy's.
        include_reasoning: whether its reasoning block is part of its reference.
        sampling: overrides of the strategy's sampling settings.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    backend: str
    price_prompt: Price | None = None
    price_completion: Price | None = None
    context_length: PositiveInt | None = None
    max_concurrency: PositiveInt = 8
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 4
    max_backoff_s: Annotated[float, Field(gt=0)] = 60.0
    breaker_failures: Annotated[int, Field(ge=0)] = 5
    breaker_s: Annotated[float, Field(gt=0)] = 30.0
    system: str | None = None
    include_reasoning: bool = False
    sampling: SamplingSettings = SamplingSettings()


class EmbedderSettings(Settings):
    """What every embedder may set."""

    backend: str
    query_instruction: str = ""
    document_instruction: str = ""


class SMCSSettings(Settings):
    """The method's settings; the defaults are the paper's (preset ``paper``).

    `prior`, `drop` and `posterior` switch the method's three components; other values than the defaults are for finding
    out what a component is worth.

    Attributes:
        prior: what chooses the referencers: ``retrieval`` (the prior), ``global`` (whole-bank accuracy, which then
            is the prior) or ``random`` (K at random; the prior still orders and drops them).
        drop: how references are dropped: by the ``prior``, at ``random`` (all equally likely), or ``none``.
        posterior: what chooses among the aggregations: ``both`` scores, ``similarity`` or ``perplexity`` alone, or
            none: the ``first`` that was drawn.
        k: number of referencers, K.
        estimator: how the retrieval prior estimates accuracies: ``equation4`` is the paper's; the others are in
            `smcs.core.estimation.PRIORS`, of which ``kernel-ridge-shared`` ranks best on recorded answers.
        n_base: size that the support set has at least.
        gamma: the support set holds all that are at least this fraction as similar as its n_base-th question.
        n_drop: references dropped from each subset, K_drop.
        n_aggregations: number of aggregations, n.
        ppl_weight: weight of the perplexity score against the similarity score, lambda.
        ppl_score: ``linear`` is 1 - PPL, the paper's; ``inverse`` is 1 / PPL, bounded.
        aggregator: name of the aggregating LLM; by default the one with the best instruction following in the bank.
        aggregators: other aggregators by benchmark: used where most of the support set, by similarity, is of it.
        adaptive: whether to leave out aggregations that are not needed, by the three settings below.
        agreement: cosine from which on two aggregations count as saying the same.
        tolerance: aggregation stops where one that says something else could have a better posterior score by this much
            at most; 0 never stops it, and asks for all at once.
        skip_agreeing: share of the references that have to state the same answer for aggregation to be skipped, where
            answers can be extracted; 0 never skips it.
        reference_prompt: system prompt of the referencers instead of the package's.
        aggregator_prompt: instruction to the aggregator instead of the package's.
        sampling: sampling settings of references.
        aggregation_sampling: what differs from `sampling` in aggregations.
    """

    prior: Literal["retrieval", "global", "random"] = "retrieval"
    drop: Literal["prior", "random", "none"] = "prior"
    posterior: Literal["both", "similarity", "perplexity", "first"] = "both"
    estimator: Literal["equation4", "softmax", "shrinkage", "ridge", "kernel-ridge", "kernel-ridge-shared"] = (
        "equation4"
    )
    k: PositiveInt = 7
    n_base: PositiveInt = 400
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.95
    n_drop: Annotated[int, Field(ge=0)] = 1
    n_aggregations: Annotated[int, Field(ge=1, le=1000)] = 8  # a request may set it, and must not fill the memory
    ppl_weight: Annotated[float, Field(ge=0, alias="lambda")] = 1.0
    ppl_score: Literal["linear", "inverse"] = "linear"
    aggregator: str | None = None
    aggregators: dict[str, str] = Field(default_factory=dict)
    adaptive: bool = False
    agreement: Annotated[float, Field(gt=0, le=1)] = 0.9
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    skip_agreeing: Annotated[float, Field(ge=0, le=1)] = 1.0
    reference_prompt: str | None = None
    aggregator_prompt: str | None = None
    sampling: SamplingSettings = SamplingSettings()
    aggregation_sampling: SamplingSettings = SamplingSettings()

    @property
    def needs_logprobs(self) -> bool:
        """Whether the aggregator has to give log-probabilities."""
        return self.posterior == "perplexity" or (self.posterior == "both" and self.ppl_weight != 0)

    @field_validator("skip_agreeing")
    @classmethod
    def _most_agree(cls, share: float) -> float:
        if 0 < share <= 0.5:
            raise ValueError("it must be above 0.5, or 0 for never: several answers can have half of the references")
        return share

    @model_validator(mode="after")
    def _some_reference_is_left(self) -> SMCSSettings:
        if self.drop != "none" and self.n_drop >= self.k:
            raise ValueError(f"n_drop = {self.n_drop} leaves no reference of k = {self.k}; set n_drop below k")
        return self


class PoolConfig(Settings):
    """A pool file, read and checked.

    Attributes:
        path: where it was read from; None for a pool made in code.
        llm: settings of each LLM, in the file's order.
        embedder: the embedder's settings; None means the embedded one.
        smcs: overrides of the preset, as written.
    """

    path: Path | None = None
    llm: tuple[LLMSettings, ...]
    embedder: EmbedderSettings | None = None
    smcs: dict[str, Any] = Field(default_factory=dict)

    @property
    def base_dir(self) -> Path:
        """Where relative paths in the file start."""
        return self.path.parent if self.path else Path()

    @property
    def names(self) -> list[str]:
        """Names of the LLMs, in order."""
        return [llm.name for llm in self.llm]

    @field_validator("llm")
    @classmethod
    def _names_are_unique(cls, llms: tuple[LLMSettings, ...]) -> tuple[LLMSettings, ...]:
        if not llms:
            raise ValueError("a pool needs at least one [[llm]]")
        seen: set[str] = set()
        for llm in llms:
            if llm.name in seen:
                raise ValueError(f"two LLMs are named {llm.name!r}; names must be unique")
            seen.add(llm.name)
        return llms


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"sampling": {"temperature": 0.7, "max_tokens": 8192, "presence_penalty": 1.05}},
    # Three small LLMs on a CPU: what they generate, not what is computed around it, takes the time.
    "local": {
        "k": 3,
        "n_base": 24,
        "n_drop": 1,
        "n_aggregations": 4,
        "sampling": {"temperature": 0.7, "max_tokens": 256},
        "aggregation_sampling": {"max_tokens": 320},
    },
}


def method_settings(preset: str, *overrides: Mapping[str, Any], source: str = "settings") -> SMCSSettings:
    """The method's settings: a preset with overrides, later ones winning; nested tables are merged.

    Raises:
        ConfigError: unknown preset, key or value.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}{did_you_mean(preset, sorted(PRESETS))}")
    merged: dict[str, Any] = {}
    for layer in (PRESETS[preset], *overrides):
        merged = merge(merged, plain_names(layer))
    return validate(SMCSSettings, merged, source)


def plain_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names of `SMCSSettings`' fields: ``lambda`` is no name that Python takes."""
    return {("ppl_weight" if key == "lambda" else key): value for key, value in settings.items()}


def changed(method: SMCSSettings, overrides: Mapping[str, Any], source: str = "settings") -> SMCSSettings:
    """The method's settings with overrides; nested tables are merged.

    Raises:
        ConfigError: unknown key or value.
    """
    if not overrides:
        return method
    return validate(SMCSSettings, merge(method.model_dump(exclude_unset=True), plain_names(overrides)), source)


def parse_override(text: str) -> dict[str, Any]:
    """One ``key=value`` of the command line; the value is TOML, or a string where it is not.

    ``sampling.temperature=0.2`` reaches into a table.

    Raises:
        ConfigError: no ``=`` or no key.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"{text!r} is not of the form key=value")
    try:
        parsed = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        ConfigError: it is missing, unreadable or not TOML; says where.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no pool file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the pool file {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def load_pool(
    path: Path,
    llm_settings: Callable[[str], type[LLMSettings]],
    embedder_settings: Callable[[str], type[EmbedderSettings]],
) -> PoolConfig:
    """Read and check a pool file.

    Args:
        path: the TOML file.
        llm_settings: settings class of an LLM backend by its name.
        embedder_settings: settings class of an embedder backend by its name.

    Raises:
        ConfigError: what is wrong, in which table, and what would be right.
        UnknownNameError: no such backend.
    """
    raw = read_toml(path)
    tables = raw.get("llm", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise ConfigError(f"{path}: LLMs are written as [[llm]] tables")
    llms = tuple(
        _backend_settings(llm_settings, table, f"{path}: [[llm]] {table.get('name', i)!r}")
        for i, table in enumerate(tables, 1)
    )
    embedder = None
    if "embedder" in raw:
        embedder = _backend_settings(embedder_settings, raw["embedder"], f"{path}: [embedder]")
    known = {"llm", "embedder", "smcs"}
    for key in raw:
        if key not in known:
            raise ConfigError(f"{path}: unknown table {key!r}{did_you_mean(key, sorted(known))}")
    smcs = raw.get("smcs", {})
    if not isinstance(smcs, dict):
        raise ConfigError(f"{path}: smcs is a table: write [smcs]")
    return validate(PoolConfig, {"path": path, "llm": llms, "embedder": embedder, "smcs": smcs}, str(path))


def _backend_settings(find: Callable[[str], type[SettingsT]], table: Any, where: str) -> SettingsT:
    if not isinstance(table, dict) or not isinstance(table.get("backend"), str):
        raise ConfigError(f'{where} needs a backend, such as backend = "openai"')
    return validate(find(table["backend"]), table, where)


def validate(model: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Check values against a settings class.

    Raises:
        ConfigError: every problem, one sentence each; an unknown key with the closest known one.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {'; '.join(_problem(model, e) for e in error.errors())}") from None


def _problem(model: type[BaseModel], error: Any) -> str:
    place = ".".join(_as_written(model, str(part)) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        fields = _fields_at(model, error["loc"][:-1])
        return f"unknown key {place!r}{did_you_mean(str(error['loc'][-1]), sorted(fields))}"
    if error["type"] == "missing":
        return f"{place!r} is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place} = {error['input']!r}: {message}" if place and not place.startswith("llm") else message


def _as_written(model: type[BaseModel], name: str) -> str:
    """A key as it stands in the file: ``lambda``, where Python has to call it otherwise."""
    field = model.model_fields.get(name)
    return field.alias if field and field.alias else name


def _fields_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the keys of the (nested) settings at this place."""
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def secret(variable: str | None, owner: str) -> str | None:
    """The value of an environment variable that holds a key.

    Raises:
        ConfigError: the variable is named but not set.
    """
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"{owner} takes its key from the environment variable {variable}, which is not set")
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others over them; nested tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
