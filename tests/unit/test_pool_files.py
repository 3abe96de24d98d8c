"""The pool files that come with the project can be used, and a key that is missing is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smcs import cli
from smcs.config import method_settings
from smcs.experiments.printed import printed, same_llm
from smcs.system import build_pool, load_pool

POOLS = Path(__file__).parents[2] / "pools"
ENDPOINTS = ("example-openai.toml", "ollama.toml", "llama-cpp-server.toml", "openrouter.toml", "paper15.toml")


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_llm_is_shown(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for variable in ("OPENROUTER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "sk-not-a-real-key")
    assert cli.run(["pool", "show", "--pool", str(POOLS / name), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    pool = load_pool(POOLS / name)
    assert [llm["name"] for llm in shown] == pool.names
    method = method_settings("paper", pool.smcs)
    assert method.k <= len(pool.llm)
    assert method.aggregator in {None, *pool.names}


def test_the_paper_s_pool_is_in_the_paper_s_setting() -> None:
    pool = load_pool(POOLS / "paper15.toml")
    assert [same_llm(name) for name in pool.names] == [same_llm(row.label) for row in printed(5)]
    method = method_settings("paper", pool.smcs)
    assert method == method_settings("paper", {"aggregator": "Llama-3.3-70B-Instruct", "sampling": method.sampling})
    assert method.sampling.to_sampling() == method_settings("paper").sampling.to_sampling()


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    assert cli.run(["pool", "show", "--pool", str(POOLS / "openrouter.toml")]) == 2
    assert "OPENROUTER_API_KEY, which is not set" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ollama.toml", "llama-cpp-server.toml"])
async def test_what_a_call_would_send_is_what_the_server_takes(name: str) -> None:
    pool = build_pool(load_pool(POOLS / name))
    try:
        assert all(llm.info.context_length for llm in pool)
        assert {llm.info.multiple_samples for llm in pool} == {name != "ollama.toml"}
    finally:
        await pool.aclose()
