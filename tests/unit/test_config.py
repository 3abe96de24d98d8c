"""Pool files, presets and overrides: what is right is read, what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smcs.config import EmbedderSettings, LLMSettings, load_pool, method_settings, parse_override, secret
from smcs.errors import ConfigError, UnknownNameError
from smcs.types import Sampling


class EchoSettings(LLMSettings):
    volume: int = 1


def settings_of(backend: str) -> type[LLMSettings]:
    if backend != "echo":
        raise UnknownNameError(f"unknown LLM backend {backend!r}")
    return EchoSettings


def embedder_settings_of(backend: str) -> type[EmbedderSettings]:
    return EmbedderSettings


def read(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    return load_pool(path, settings_of, embedder_settings_of)


GOOD = """
[[llm]]
name = "a"
backend = "echo"
volume = 3
price_prompt = 0.5
sampling = { temperature = 0.2, stop = ["END"] }
[[llm]]
name = "b"
backend = "echo"
[embedder]
backend = "any"
query_instruction = "Find: "
[smcs]
aggregator = "b"
"""


def test_a_pool_file(tmp_path: Path) -> None:
    pool = read(tmp_path / "pool.toml", GOOD)
    assert pool.names == ["a", "b"]
    assert isinstance(pool.llm[0], EchoSettings)
    assert pool.llm[0].volume == 3
    assert pool.llm[0].sampling.to_sampling() == Sampling(temperature=0.2, stop=("END",))
    assert pool.embedder.query_instruction == "Find: "
    assert pool.smcs == {"aggregator": "b"}
    assert pool.base_dir == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[llm]]\nname = 'a'\nbackend = 'echo'\nvolum = 1", r"unknown key 'volum'; did you mean 'volume'"),
        ("[[llm]]\nname = 'a'\nbackend = 'echo'\nsampling = {temprature = 1}", r"'sampling.temprature'.*temperature"),
        ("[[llm]]\nname = 'a'\nbackend = 'ecko'", "unknown LLM backend 'ecko'"),
        ("[[llm]]\nname = 'a'", "'a' needs a backend"),
        ("[[llm]]\nbackend = 'echo'", "'name' is missing"),
        ("[[llm]]\nname = 'a'\nbackend = 'echo'\nvolume = 'x'", "volume = 'x'"),
        ("[[llm]]\nname = 'a'\nbackend = 'echo'\n[[llm]]\nname = 'a'\nbackend = 'echo'", "two LLMs are named 'a'"),
        ("[[llm]]\nname = 'a'\nbackend = 'echo'\n[embeder]", "unknown table 'embeder'; did you mean 'embedder'"),
        ("[llm]\nname = 'a'", r"\[\[llm\]\] tables"),
        ("smcs = 3\n[[llm]]\nname = 'a'\nbackend = 'echo'", r"write \[smcs\]"),
        ("", r"at least one \[\[llm\]\]"),
        ("[[llm]", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_pool_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        read(tmp_path / "pool.toml", text)


def test_missing_unreadable_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pool file"):
        load_pool(tmp_path / "none.toml", settings_of, embedder_settings_of)
    with pytest.raises(ConfigError, match="cannot read"):
        load_pool(tmp_path, settings_of, embedder_settings_of)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot read"):
        load_pool(tmp_path / "x.toml", settings_of, embedder_settings_of)


class TestMethodSettings:
    def test_paper_is_the_papers(self) -> None:
        s = method_settings("paper")
        assert (s.k, s.n_base, s.gamma, s.n_drop, s.n_aggregations, s.ppl_weight) == (7, 400, 0.95, 1, 8, 1.0)
        assert s.sampling.to_sampling() == Sampling(temperature=0.7, max_tokens=8192, presence_penalty=1.05)
        assert s.ppl_score == "linear"

    def test_later_overrides_win_and_tables_are_merged(self) -> None:
        s = method_settings("paper", {"k": 3, "sampling": {"max_tokens": 5}}, {"k": 4})
        assert s.k == 4
        assert (s.sampling.max_tokens, s.sampling.temperature) == (5, 0.7)

    def test_lambda_by_its_name_in_the_paper(self) -> None:
        assert method_settings("paper", {"lambda": 0.5}).ppl_weight == 0.5
        assert method_settings("paper", {"lambda": 0.5}, {"ppl_weight": 0.25}).ppl_weight == 0.25

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ({"kk": 1}, "unknown key 'kk'"),
            ({"k": 0}, "k = 0"),
            ({"gamma": 2}, "gamma = 2"),
            ({"k": 2, "n_drop": 2}, "leaves no reference"),
            ({"ppl_score": "log"}, "ppl_score"),
        ],
    )
    def test_what_is_wrong_is_named(self, override: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            method_settings("paper", override)

    def test_unknown_preset(self) -> None:
        with pytest.raises(ConfigError, match="unknown preset 'papr'; did you mean 'paper'"):
            method_settings("papr")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=3", {"k": 3}),
        ("lambda = 0.5", {"lambda": 0.5}),
        ("aggregator=qwen-2.5", {"aggregator": "qwen-2.5"}),
        ("sampling.max_tokens=9", {"sampling": {"max_tokens": 9}}),
        ('sampling.stop=["a", "b"]', {"sampling": {"stop": ["a", "b"]}}),
        ("aggregator=", {"aggregator": ""}),
    ],
)
def test_parse_override(text: str, value: dict[str, Any]) -> None:
    assert parse_override(text) == value


@pytest.mark.parametrize("text", ["k", "=3", ""])
def test_parse_override_wrong(text: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_override(text)


def test_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", " s3cret \n")
    assert secret("KEY_A", "x") == "s3cret"
    assert secret(None, "x") is None
    monkeypatch.delenv("KEY_B", raising=False)
    with pytest.raises(ConfigError, match=r"'qwen' takes its key .* KEY_B"):
        secret("KEY_B", "'qwen'")
