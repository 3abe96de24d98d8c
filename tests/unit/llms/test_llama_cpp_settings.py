from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smcs.config import validate
from smcs.errors import ConfigError, WeightsError
from smcs.llms import _llama_gguf
from smcs.llms._llama_engine import Engine, Spec
from smcs.llms.llama_cpp import Settings, create
from smcs.protocols import BuildContext

WriteGGUF = Callable[..., Path]
LEAST = {"name": "mine", "backend": "llama-cpp"}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "give either `weights`"),
        ({"path": "a.gguf", "weights": {"repo": "a/b", "file": "c"}}, "give either `weights`"),
        ({"path": "a.gguf", "parallel": 0}, "parallel"),
        ({"path": "a.gguf", "thread": 2}, "did you mean 'threads'"),
        ({"path": "a.gguf", "memory_gib": 0}, "memory_gib"),
        ({"path": "a.gguf", "sampling": {"extra": {"stream": False}}}, "must not set stream"),
        ({"weights": {"repo": "a/b", "flie": "c"}}, "unknown key 'weights.flie'"),
    ],
)
def test_says_what_is_wrong(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        validate(Settings, LEAST | values, "pool.toml")
    assert complaint in str(raised.value)


def test_a_header_gives_the_memory_that_it_will_take(write_gguf: WriteGGUF, tmp_path: Path) -> None:
    found = _llama_gguf.read(write_gguf(tmp_path / "a.gguf"))
    assert (found.name, found.trained_context, found.chat_template) == ("Small", 8192, True)
    assert found.kv_bytes_per_token == 30 * 3 * (64 + 64) * 2
    spec = Spec(tmp_path / "a.gguf", 4096, 2, 1)
    assert spec.memory() > 2 * 4096 * found.kv_bytes_per_token


def test_heads_may_differ_by_layer(write_gguf: WriteGGUF, tmp_path: Path) -> None:
    changes = {"llama.attention.head_count_kv": [1] * 10 + [2] * 20, "llama.attention.key_length": 32}
    path = write_gguf(tmp_path / "a.gguf", **changes)
    assert _llama_gguf.read(path).kv_bytes_per_token == 50 * (32 + 64) * 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "cannot be read|cannot read"),
        (b"<html>not found</html>", "is not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 5), "is damaged"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "is damaged"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "is damaged"),
    ],
)
def test_a_broken_file_is_refused_in_words(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=complaint):
        _llama_gguf.read(path)
    with pytest.raises(WeightsError, match=complaint):
        Engine(Spec(path, 512, 1, 1))


@pytest.mark.parametrize("cut", [10, 60, 200])
def test_a_header_that_is_cut_off_is_refused(write_gguf: WriteGGUF, tmp_path: Path, cut: int) -> None:
    path = write_gguf(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WeightsError, match="is damaged"):
        _llama_gguf.read(path)


async def _start(tmp_path: Path, **values: Any) -> None:
    llm = create(validate(Settings, LEAST | values, "test"), BuildContext(tmp_path, base_dir=tmp_path))
    await llm.start()


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=str(tmp_path / "nowhere.gguf")):
        await _start(tmp_path, path="nowhere.gguf")


async def test_a_context_beyond_the_trained_one_is_refused(write_gguf: WriteGGUF, tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    with pytest.raises(ConfigError, match="trained for a context of 8192; lower context_length from 9000"):
        await _start(tmp_path, path="a.gguf", context_length=9000)


async def test_a_file_without_chat_template_needs_one(write_gguf: WriteGGUF, tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", **{"tokenizer.chat_template": None})
    with pytest.raises(ConfigError, match="set chat_template"):
        await _start(tmp_path, path="a.gguf")


async def test_what_does_not_fit_the_memory_is_refused_with_the_numbers(write_gguf: WriteGGUF, tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    with pytest.raises(ConfigError, match=r"takes about 0\.5 GiB, and memory_gib allows 0\.2"):
        await _start(tmp_path, path="a.gguf", context_length=4096, parallel=4, memory_gib=0.2)


async def test_a_header_without_a_model_behind_it_is_refused_in_silence(
    write_gguf: WriteGGUF, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_gguf(tmp_path / "a.gguf")
    with pytest.raises(WeightsError, match=r"llama\.cpp cannot load"):
        await _start(tmp_path, path="a.gguf", context_length=512)
    assert capfd.readouterr() == ("", "")
