"""Embedders behind an OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp's server, Ollama, OpenAI and others.

::

    [embedder]
    backend = "openai"
    base_url = "http://127.0.0.1:8001/v1"
    model = "Linq-AI-Research/Linq-Embed-Mistral"
    query_instruction = "Instruct: Find questions that need the same skills.\\nQuery: "

A text longer than the model takes is an error on most endpoints; where they can cut it, ask for that, on vLLM with
``extra = {truncate_prompt_tokens = -1}``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from smcs.config import EmbedderSettings, PositiveInt
from smcs.errors import CallTimeoutError, MalformedResponseError
from smcs.protocols import BuildContext, FloatArray
from smcs.transport.address import EndpointSettings
from smcs.transport.credentials import credentials
from smcs.transport.http import JsonClient
from smcs.transport.retry import RetryPolicy, Sleep, retrying
from smcs.transport.tasks import all_of
from smcs.types import EmbedderInfo


class Settings(EndpointSettings, EmbedderSettings):
    """An embedder behind an OpenAI-compatible endpoint.

    Attributes:
        dimension: length of a vector, where it is to be checked; by default what the endpoint gives at first.
        batch_size: most texts in one request.
        max_concurrency: most requests at once.
        timeout_s: most seconds for one attempt.
        max_retries: how often a request that failed for a passing reason is tried again.
        max_backoff_s: longest wait between two attempts; an endpoint that asks for more is given up.
        extra: further keys of the request's body, such as ``dimensions``.
    """

    dimension: PositiveInt | None = None
    batch_size: PositiveInt = 64
    max_concurrency: PositiveInt = 4
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 4
    max_backoff_s: Annotated[float, Field(gt=0)] = 60.0
    extra: dict[str, Any] = Field(default_factory=dict)


def create(settings: Settings, context: BuildContext) -> OpenAIEmbedder:
    """Build the embedder.

    Raises:
        ConfigError: the key, or a variable in a header, is not in the environment.
    """
    return OpenAIEmbedder(settings)


class OpenAIEmbedder:
    """An embedder behind one endpoint. See `smcs.protocols.Embedder` for its methods."""

    def __init__(self, settings: Settings, *, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._client = JsonClient(
            settings.base_url,
            credentials(settings.api_key_env, settings.headers, "the embedder"),
            max_connections=settings.max_concurrency,
            connect_timeout_s=settings.connect_timeout_s,
        )
        self._policy = RetryPolicy(settings.max_retries, settings.max_backoff_s)
        self._rng = random.Random(settings.model)
        self._dimension = settings.dimension

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self._settings.model!r}, {self._client.origin!r})"

    async def start(self) -> EmbedderInfo:
        """Learn the dimension from a small request, where it is not given."""
        if self._dimension is None:
            vectors = await self._request(["dimension"])
            self._dimension = vectors.shape[1]
        return EmbedderInfo(
            name=f"openai/{self._settings.model}",
            revision="",
            dimension=self._dimension,
            query_instruction=self._settings.query_instruction,
            document_instruction=self._settings.document_instruction,
        )

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> FloatArray:
        """Embed texts, in batches that are under way together."""
        dimension = self._dimension or (await self.start()).dimension
        if not texts:
            return np.empty((0, dimension), dtype=np.float32)
        instruction = self._settings.query_instruction if kind == "query" else self._settings.document_instruction
        size = self._settings.batch_size
        batches = [[instruction + text for text in texts[i : i + size]] for i in range(0, len(texts), size)]
        places = asyncio.Semaphore(self._settings.max_concurrency)

        async def one(batch: list[str]) -> FloatArray:
            async with places:
                return await self._request(batch)

        return np.concatenate(await all_of([one(batch) for batch in batches]))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(self, texts: list[str]) -> FloatArray:
        """Vectors of one batch, with retries."""

        async def attempt(_: int) -> FloatArray:
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    body = {"model": self._settings.model, "input": texts, "encoding_format": "float"}
                    answer = await self._client.post("/embeddings", {**body, **self._settings.extra})
            except TimeoutError:
                limit = f"timeout_s = {self._settings.timeout_s:g}"
                raise CallTimeoutError(f"{self._client.origin} did not embed within {limit} seconds") from None
            return self._vectors(answer, len(texts))

        return await retrying(attempt, self._policy, self._rng, name=self._settings.model, sleep=self._sleep)

    def _vectors(self, answer: dict[str, Any], count: int) -> FloatArray:
        """The vectors of an answer, checked and of length 1.

        Raises:
            MalformedResponseError: too few or too many, of unequal or unexpected dimension, not finite, or zero.
        """
        where = self._client.origin
        data = answer.get("data")
        if not isinstance(data, list) or len(data) != count:
            given = len(data) if isinstance(data, list) else "no"
            raise MalformedResponseError(f"{where} gave {given} embeddings for {count} texts")
        try:
            ordered = sorted(data, key=lambda item: item["index"]) if "index" in data[0] else data
            vectors = np.array([item["embedding"] for item in ordered], dtype=np.float64)
        except (TypeError, ValueError, KeyError):
            raise MalformedResponseError(f"{where} gave embeddings that are not lists of numbers") from None
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise MalformedResponseError(f"{where} gave embeddings that are not lists of numbers")
        if self._dimension is not None and vectors.shape[1] != self._dimension:
            raise MalformedResponseError(
                f"{where} gave embeddings of dimension {vectors.shape[1]} instead of {self._dimension}"
            )
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(vectors).all() or not np.isfinite(lengths).all() or not lengths.all():
            raise MalformedResponseError(f"{where} gave an embedding that is zero or not finite")
        return np.asarray(vectors / lengths, dtype=np.float32)
