"""Systems of other settings over the same parts."""

from __future__ import annotations

from typing import Any

import pytest

from smcs.config import SMCSSettings
from smcs.errors import ConfigError, UnknownNameError
from smcs.strategies import StrategySpec, parse_specs
from smcs.system import System
from smcs.types import Limits


def system_of(lab: Any, strategy: StrategySpec | None = None) -> System:
    return System(lab.pool(), lab.bank(), lab.embedder, SMCSSettings(**lab.settings), strategy)


async def test_a_variant_answers_by_its_own_settings_over_the_same_parts(lab: Any) -> None:
    system = system_of(lab)
    variant = system.variant(settings={"n_aggregations": 2, "lambda": 0.0})
    answer = await variant.ask("question fig", limits=Limits())
    assert len(answer.trace.aggregations) == 2
    assert variant.pool is system.pool
    assert variant.embedder is system.embedder
    assert len((await system.ask("question fig")).trace.aggregations) == 4, "the system itself is as it was"


async def test_a_variant_takes_another_strategy(lab: Any) -> None:
    answer = await system_of(lab).variant("single:llm=c").ask("question fig")
    assert [r.llm for r in answer.trace.referencers] == ["c"]


def test_a_variant_is_built_once(lab: Any) -> None:
    system = system_of(lab)
    assert system.variant("majority") is system.variant("majority")
    assert system.variant(settings={"k": 2}) is system.variant(settings={"k": 2})
    assert system.variant(settings={"k": 2}) is not system.variant(settings={"k": 3})
    assert system.variant() is system


async def test_overrides_go_over_what_the_strategy_sets_itself(lab: Any) -> None:
    system = system_of(lab, parse_specs("smcs:k=2:sampling.temperature=0.5")[0])
    variant = system.variant(settings={"k": 4, "sampling": {"max_tokens": 7}})
    answer = await variant.ask("question fig")
    assert len(answer.trace.referencers) == 4
    sampling = lab.asked("a")[0].sampling
    assert (sampling.temperature, sampling.max_tokens) == (0.5, 7)


def test_what_is_wrong_is_said(lab: Any) -> None:
    system = system_of(lab)
    with pytest.raises(ConfigError, match="unknown key 'kk'"):
        system.variant(settings={"kk": 2})
    with pytest.raises(ConfigError, match="k = 9 referencers"):
        system.variant(settings={"k": 9})
    with pytest.raises(UnknownNameError):
        system.variant("majorty")
