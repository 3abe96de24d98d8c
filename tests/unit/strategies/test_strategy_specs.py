"""How strategies are named on a command line."""

from __future__ import annotations

from typing import Any

import pytest

from smcs.config import SMCSSettings
from smcs.errors import ConfigError, UnknownNameError
from smcs.strategies import StrategySpec, parse_specs
from smcs.strategies._spec import expand, settings_of


def test_names_and_settings() -> None:
    one, two, three = parse_specs(["smcs,moa:layers=2", "smcs:k=5:drop=none:sampling.temperature=0.1"])
    assert (one.name, dict(one.settings), one.label) == ("smcs", {}, "smcs")
    assert (two.name, dict(two.settings)) == ("moa", {"layers": 2})
    assert dict(three.settings) == {"k": 5, "drop": "none", "sampling": {"temperature": 0.1}}


def test_an_llm_s_name_may_hold_colons_and_a_list_commas() -> None:
    single, moa = parse_specs('single:llm=qwen:7b,moa:llms=["a,b", "c"]')
    assert single.settings == {"llm": "qwen:7b"}
    assert moa.settings == {"llms": ["a,b", "c"]}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("smc", UnknownNameError, "did you mean 'smcs'"),
        ("smcs:5", ConfigError, "such as smcs:k=5"),
        ("", ConfigError, "no strategy is named"),
        ("moa,moa", ConfigError, "twice"),
    ],
)
def test_what_cannot_be_read(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_specs(text)


def test_the_method_is_overridden_for_one_strategy_alone() -> None:
    method = SMCSSettings(k=3, n_base=7)
    overridden, _ = settings_of(parse_specs("smcs:k=2:lambda=0")[0], method)
    assert (overridden.k, overridden.ppl_weight, overridden.n_base) == (2, 0, 7)
    assert method.k == 3
    assert settings_of(parse_specs("majority")[0], method)[0] is method


def test_an_unknown_key_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"'layer'; did you mean 'layers'"):
        settings_of(parse_specs("moa:layer=2")[0], SMCSSettings())


@pytest.mark.parametrize("text", ["moa:layers=0", "smcs:prior=best", "smcs:n_drop=7", "self-consistency:n=x"])
def test_a_wrong_value_names_the_strategy(text: str) -> None:
    with pytest.raises(ConfigError, match="strategy"):
        settings_of(parse_specs(text)[0], SMCSSettings())


def test_one_strategy_for_each_llm() -> None:
    specs = expand([StrategySpec("smcs"), StrategySpec("single", {"llm": "*"}, "single:llm=*")], ["a", "b"])
    assert [spec.label for spec in specs] == ["smcs", "single:llm=a", "single:llm=b"]
    assert [spec.settings.get("llm") for spec in specs] == [None, "a", "b"]


async def test_an_llm_that_the_pool_does_not_have(lab: Any) -> None:
    for text in ("single:llm=x", 'moa:llms=["x"]', "self-moa:llm=x", "best-of-n:llm=x", "symbolic-moe:annotator=x"):
        with pytest.raises(ConfigError, match="has no LLM 'x'"):
            lab.build(text)
