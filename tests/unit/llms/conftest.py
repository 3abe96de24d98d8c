"""GGUF files without a model in them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Small",
    "tokenizer.ggml.tokens": ["a", "bc"] * 5000,
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "llama.context_length": 8192,
    "tokenizer.chat_template": "{{ messages }}",
}


@pytest.fixture
def write_gguf() -> Callable[..., Path]:
    """Writes a GGUF file with a header and nothing else, like that of a small LLM but for the values given."""
    return lambda path, **changes: _write(path, {k: v for k, v in (LLAMA | changes).items() if v is not None})


def _write(path: Path, metadata: dict[str, Any]) -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value_of(value: Any) -> bytes:
        if isinstance(value, str):
            return struct.pack("<I", 8) + text(value)
        if isinstance(value, list) and isinstance(value[0], str):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        if isinstance(value, list):
            return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
        return struct.pack("<II", 4, value)

    body = b"".join(text(key) + value_of(value) for key, value in metadata.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + body)
    return path
