"""Embeddings of the questions of an experiment, computed once and kept in the user's cache folder.

One SQLite file for each embedder (its name, revision, dimension and instruction), text by text: a run that is
interrupted keeps what it has, and another experiment on the same questions finds them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs import registry
from smcs.config import validate
from smcs.errors import BankError
from smcs.protocols import BuildContext, Embedder, FloatArray
from smcs.types import EmbedderInfo
from smcs.weights import cache_dir

Report = Callable[[int, int], None]
_AT_ONCE = 64
_LONGEST_WAIT_S = 60.0


async def embed_cached(
    texts: Sequence[str],
    backend: str = "minilm",
    *,
    cache: Path | None = None,
    report: Report = lambda done, total: None,
) -> tuple[FloatArray, EmbedderInfo]:
    """Vectors of texts by an embedder with its default settings.

    Args:
        texts: the texts; equal ones are embedded once.
        backend: name of the embedder.
        cache: the cache folder; the user's where None.
        report: told how many of the texts that had to be embedded are done.

    Returns:
        float32 array of shape (n_texts, dimension), rows of length 1, and what the embedder is.

    Raises:
        UnknownNameError: no such embedder.
        WeightsError: its weights cannot be had.
        BankError: the cache cannot be written or read.
    """
    folder = cache or cache_dir()
    embedder = _build(backend, folder)
    try:
        info = await embedder.start()
        with _store(folder / "embeddings" / f"{_key(info)}.sqlite") as store:
            keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
            found = _read(store, keys, info.dimension)
            todo = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
            # The longest texts go together, so that a batch holds little padding.
            order = sorted(todo, key=lambda key: len(todo[key]))
            for start in range(0, len(order), _AT_ONCE):
                batch = order[start : start + _AT_ONCE]
                vectors = await embedder.embed([todo[key] for key in batch], "document")
                rows = [(key, vector.tobytes()) for key, vector in zip(batch, vectors, strict=True)]
                with store:
                    store.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
                found.update(zip(batch, vectors, strict=True))
                report(start + len(batch), len(order))
    except sqlite3.Error as error:
        raise BankError(f"the cache of embeddings in {folder / 'embeddings'} cannot be used: {error}") from error
    finally:
        await embedder.aclose()
    return np.stack([found[key] for key in keys]) if keys else np.empty((0, info.dimension), np.float32), info


def _build(backend: str, folder: Path) -> Embedder:
    module = registry.find("embedders", backend)
    settings = validate(module.Settings, {"backend": backend}, f"embedder {backend}")
    embedder: Embedder = module.create(settings, BuildContext(cache_dir=folder))
    return embedder


def _key(info: EmbedderInfo) -> str:
    return hashlib.sha256(json.dumps(asdict(info), sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _store(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(path, timeout=_LONGEST_WAIT_S)
    try:
        with store:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        yield store
    finally:
        store.close()


def _read(store: sqlite3.Connection, keys: Sequence[bytes], dimension: int) -> dict[bytes, NDArray[Any]]:
    found: dict[bytes, NDArray[Any]] = {}
    wanted = set(keys)
    for key, vector in store.execute("SELECT text, vector FROM vectors"):
        if key in wanted and len(vector) == 4 * dimension:
            found[key] = np.frombuffer(vector, dtype=np.float32)
    return found
