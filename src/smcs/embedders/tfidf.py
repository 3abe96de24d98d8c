"""A lexical embedder with no weights to fetch: hashed TF-IDF. Texts are alike where they share rare words.

It has to see no corpus first: how rare words are comes with the package, as the document frequencies of hashed words in
9,871 benchmark questions (validation splits). Words, runs of digits (all alike), punctuation and, in scripts without
spaces, single characters count; of a word that occurs c times the weight is (1 + log c) times its inverse document
frequency. Quick (thousands of texts a second) and good enough to route by; it does not know that two words mean the
same, so MiniLM, the default, finds more of what is alike.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smcs.config import EmbedderSettings
from smcs.errors import BadRequestError
from smcs.protocols import BuildContext, FloatArray
from smcs.types import EmbedderInfo

TABLE = "tfidf-rarity.npz"
BUCKETS = 1 << 15
STEP = 1 / 16
"""The table holds inverse document frequencies as whole numbers of this size."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|\d+|[^\w\s]|_")
_AT_ONCE = 256
_SHORT = 10_000
"""So many characters take about a millisecond, less than two hops between threads cost a busy event loop."""


class Settings(EmbedderSettings):
    """The lexical embedder.

    Attributes:
        dimension: length of a vector; words that fall on the same place of fewer are confused more often.
    """

    dimension: Annotated[int, Field(ge=16, le=1 << 20)] = 2048


def create(settings: Settings, context: BuildContext) -> TfIdf:
    """Build the embedder."""
    return TfIdf(settings)


def words(text: str) -> list[str]:
    """The words of a text, as they count: lower case, every run of digits as ``0``."""
    return ["0" if word[0].isdigit() else word for word in _WORDS.findall(text.lower())]


@lru_cache(maxsize=1 << 16)
def hashed(word: str) -> int:
    """A number of 64 bits, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class TfIdf:
    """The lexical embedder. See `smcs.protocols.Embedder` for its methods."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        table = (files("smcs") / "data" / TABLE).read_bytes()
        with np.load(io.BytesIO(table)) as content:
            rarity: NDArray[Any] = content["rarity"]
        self._rarity = rarity.astype(np.float32) * np.float32(STEP)
        self._info = EmbedderInfo(
            name=f"tfidf/{settings.dimension}",
            revision=hashlib.sha256(rarity.tobytes()).hexdigest()[:12],
            dimension=settings.dimension,
            query_instruction=settings.query_instruction,
            document_instruction=settings.document_instruction,
        )

    async def start(self) -> EmbedderInfo:
        """Say what it is."""
        return self._info

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> FloatArray:
        """Embed texts. See `smcs.protocols.Embedder.embed`."""
        instruction = self._info.query_instruction if kind == "query" else self._info.document_instruction
        for i, text in enumerate(texts):
            if not text.strip():
                raise BadRequestError(f"text {i + 1} of {len(texts)} to embed is empty")
        vectors = np.zeros((len(texts), self._info.dimension), np.float32)
        for start in range(0, len(texts), _AT_ONCE):
            batch = [instruction + text for text in texts[start : start + _AT_ONCE]]
            rows = vectors[start : start + _AT_ONCE]
            if sum(map(len, batch)) <= _SHORT:
                self._fill(rows, batch)
            else:
                await asyncio.to_thread(self._fill, rows, batch)
        return vectors

    async def aclose(self) -> None:
        """Nothing to free."""

    def _fill(self, vectors: FloatArray, texts: Sequence[str]) -> None:
        for vector, text in zip(vectors, texts, strict=True):
            counts = Counter(words(text))
            numbers = np.fromiter(map(hashed, counts), np.uint64, len(counts))
            weights = np.fromiter((1.0 + math.log(count) for count in counts.values()), np.float32, len(counts))
            # A sign of its own makes words that share a place cancel on average instead of adding up.
            signed = np.where(numbers >> 63, weights, -weights) * self._rarity[numbers % BUCKETS]
            np.add.at(vector, (numbers >> 15) % self._info.dimension, signed)
            length = float(np.linalg.norm(vector))
            if length > 0:
                np.divide(vector, length, out=vector)
            else:  # no word at all (control characters, say), or words that cancel: alike to nothing but themselves
                vector[hashed(text) % self._info.dimension] = 1.0
