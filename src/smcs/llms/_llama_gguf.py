"""What a GGUF file says of itself: enough to refuse a broken one, and to know its memory before it is loaded.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smcs.errors import WeightsError

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_LONGEST_KEPT_ARRAY = 4096  # vocabularies are not wanted; numbers per layer are


@dataclass(frozen=True, slots=True)
class GGUF:
    """The part of a GGUF file's header that is of use here.

    Attributes:
        size: of the file, in bytes.
        name: what the file calls the model; empty where it does not.
        trained_context: context length that the model was trained for; None where not stated.
        kv_bytes_per_token: memory of one token in the key-value cache, at 16 bits.
        chat_template: whether it holds one.
    """

    size: int
    name: str
    trained_context: int | None
    kv_bytes_per_token: int
    chat_template: bool


def read(path: Path) -> GGUF:
    """Read a file's header.

    Raises:
        WeightsError: the file is missing, unreadable, or no GGUF file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"GGUF":
                raise WeightsError(f"{path} is not a GGUF file")
            return _summary(len(data), _Reader(data).metadata())
    except FileNotFoundError:
        raise WeightsError(f"there is no file of weights {path}") from None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    except (struct.error, ValueError, KeyError, UnicodeDecodeError, IndexError) as error:
        raise WeightsError(f"{path} is damaged: its GGUF header cannot be read") from error


def _summary(size: int, meta: dict[str, Any]) -> GGUF:
    arch = str(meta.get("general.architecture", ""))

    def number(key: str, default: int) -> int:
        value = meta.get(f"{arch}.{key}")
        return default if value is None or isinstance(value, list) else int(value)

    layers = number("block_count", 0)
    heads = number("attention.head_count", 1)
    head_size = number("embedding_length", 0) // max(heads, 1)
    kv_heads = meta.get(f"{arch}.attention.head_count_kv", heads)
    total_kv_heads = sum(kv_heads) if isinstance(kv_heads, list) else int(kv_heads) * layers
    key_and_value = number("attention.key_length", head_size) + number("attention.value_length", head_size)
    return GGUF(
        size=size,
        name=str(meta.get("general.name", "")),
        trained_context=number("context_length", 0) or None,
        kv_bytes_per_token=total_kv_heads * key_and_value * 2,
        chat_template="tokenizer.chat_template" in meta,
    )


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 4

    def metadata(self) -> dict[str, Any]:
        """Keys and values of the header; long arrays are left out."""
        version, _tensors, count = self._unpack("<IQQ")
        if version < 2:
            raise ValueError(f"version {version}")
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self._string()
            found[key] = self._value(self._unpack("<I")[0])
        return found

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        start, self._at = self._skip(self._unpack("<Q")[0])
        return self._data[start : self._at].decode("utf-8", errors="replace")

    def _skip(self, n: int) -> tuple[int, int]:
        end = self._at + n
        if end > len(self._data):
            raise ValueError("the file ends too early")
        return self._at, end

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array(*self._unpack("<IQ"))
        return self._unpack(_SCALARS[kind])[0]

    def _array(self, kind: int, count: int) -> list[Any] | None:
        if kind in _SCALARS and count > _LONGEST_KEPT_ARRAY:
            _, self._at = self._skip(count * struct.calcsize(_SCALARS[kind]))
            return None
        values = []
        for _ in range(count):
            if kind == _STRING:
                _, self._at = self._skip(self._unpack("<Q")[0])
            else:
                values.append(self._value(kind))
        return values
