"""Embedders behind an endpoint, against real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from smcs.config import validate
from smcs.embedders.openai import OpenAIEmbedder, Settings
from smcs.errors import AuthenticationError, CallTimeoutError, ConfigError, MalformedResponseError, RateLimitError
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.testing.faults import Fault

WAITS: list[float] = []


async def no_wait(seconds: float) -> None:
    WAITS.append(seconds)


@asynccontextmanager
async def embedder_at(endpoint: SimulatedEndpoint, **settings: Any) -> AsyncIterator[OpenAIEmbedder]:
    values = {"backend": "openai", "model": "words", "base_url": endpoint.base_url, **settings}
    made = OpenAIEmbedder(validate(Settings, values, "test"), sleep=no_wait)
    try:
        yield made
    finally:
        await made.aclose()


@pytest.fixture
async def endpoint() -> AsyncIterator[SimulatedEndpoint]:
    WAITS.clear()
    async with SimulatedEndpoint(dimension=16) as opened:
        yield opened


async def test_it_says_what_makes_its_vectors(endpoint: SimulatedEndpoint) -> None:
    async with embedder_at(endpoint, query_instruction="Q: ", document_instruction="D: ") as embedder:
        info = await embedder.start()
    assert (info.name, info.revision, info.dimension) == ("openai/words", "", 16)
    assert (info.query_instruction, info.document_instruction) == ("Q: ", "D: ")


async def test_a_dimension_that_is_given_needs_no_call(endpoint: SimulatedEndpoint) -> None:
    async with embedder_at(endpoint, dimension=16) as embedder:
        await embedder.start()
        assert endpoint.calls == 0
        await embedder.embed(["a"], "query")
    assert endpoint.calls == 1


async def test_instructions_go_before_texts_and_extra_into_the_body(endpoint: SimulatedEndpoint) -> None:
    async with embedder_at(
        endpoint, dimension=16, query_instruction="Q: ", document_instruction="D: ", extra={"dimensions": 16}
    ) as embedder:
        await embedder.embed(["a"], "query")
        await embedder.embed(["a"], "document")
    assert list(endpoint.requests) == [
        {"model": "words", "input": [text], "encoding_format": "float", "dimensions": 16} for text in ("Q: a", "D: a")
    ]


async def test_many_texts_are_batches_at_once_in_order(endpoint: SimulatedEndpoint) -> None:
    texts = [f"text number {i}" for i in range(23)]
    async with embedder_at(endpoint, dimension=16, batch_size=5, max_concurrency=2) as embedder:
        vectors = await embedder.embed(texts, "document")
        assert endpoint.calls == 5
        assert endpoint.most_in_flight <= 2
        for text, vector in zip(texts, vectors, strict=True):
            np.testing.assert_array_equal(vector, (await embedder.embed([text], "document"))[0])


async def test_a_passing_failure_is_tried_again(endpoint: SimulatedEndpoint) -> None:
    endpoint.fail(Fault("reset"), Fault("status", status=503), Fault("broken_json"))
    async with embedder_at(endpoint, dimension=16) as embedder:
        assert (await embedder.embed(["a"], "query")).shape == (1, 16)
    assert endpoint.calls == 4
    assert len(WAITS) == 3


async def test_what_lasts_is_raised(endpoint: SimulatedEndpoint) -> None:
    endpoint.fail(Fault("status", status=401), Fault("status", status=429, retry_after="900"))
    async with embedder_at(endpoint, dimension=16) as embedder:
        with pytest.raises(AuthenticationError):
            await embedder.embed(["a"], "query")
        with pytest.raises(RateLimitError, match="900 s"):
            await embedder.embed(["a"], "query")
    assert WAITS == []


async def test_a_failing_batch_ends_the_others(endpoint: SimulatedEndpoint) -> None:
    endpoint.fail(Fault("hang"), Fault("status", status=400))
    async with embedder_at(endpoint, dimension=16, batch_size=1, max_concurrency=2) as embedder:
        async with asyncio.timeout(20):
            with pytest.raises(Exception, match="HTTP 400"):
                await embedder.embed(["a", "b", "c"], "document")


async def test_a_call_that_takes_too_long(endpoint: SimulatedEndpoint) -> None:
    endpoint.fail(Fault("hang"))
    async with embedder_at(endpoint, dimension=16, timeout_s=0.05, max_retries=0) as embedder:
        with pytest.raises(CallTimeoutError, match=r"timeout_s = 0.05"):
            await embedder.embed(["a"], "query")


def shuffled(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"data": body["data"][::-1]}


async def test_rows_follow_their_index() -> None:
    async with (
        SimulatedEndpoint(dimension=16) as straight,
        SimulatedEndpoint(dimension=16, edit=shuffled) as mixed,
        embedder_at(straight) as one,
        embedder_at(mixed) as other,
    ):
        texts = ["a b", "c d", "e f g"]
        np.testing.assert_array_equal(await one.embed(texts, "query"), await other.embed(texts, "query"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "no embeddings"),
        ([], "0 embeddings for 2"),
        ([{"index": 0, "embedding": [1.0, 2.0]}], "1 embeddings for 2"),
        ([{"embedding": [1.0, 2.0]}, {"embedding": [1.0]}], "not lists of numbers"),
        ([{"embedding": "AAAA"}, {"embedding": "AAAA"}], "not lists of numbers"),
        ([{"embedding": []}, {"embedding": []}], "not lists of numbers"),
        ([{"embedding": [1.0, None]}, {"embedding": [1.0, 2.0]}], "zero or not finite"),
        ([{"embedding": [1.0, float("nan")]}, {"embedding": [1.0, 2.0]}], "zero or not finite"),
        ([{"embedding": [0.0, 0.0]}, {"embedding": [1.0, 2.0]}], "zero or not finite"),
        ([{"embedding": [1e308, 1e308]}, {"embedding": [1.0, 2.0]}], "zero or not finite"),
        ([{"embedding": [1.0, 2.0, 3.0]}] * 2, "dimension 3 instead of 2"),
        (["a", "b"], "not lists of numbers"),
        ([3, 4], "not lists of numbers"),
        ([{"index": 0}, {"index": 1}], "not lists of numbers"),
    ],
)
async def test_what_are_no_embeddings_is_refused(data: Any, words: str) -> None:
    async with (
        SimulatedEndpoint(edit=lambda _: {"data": data}) as endpoint,
        embedder_at(endpoint, dimension=2, max_retries=0) as embedder,
    ):
        with pytest.raises(MalformedResponseError, match=words):
            await embedder.embed(["a", "b"], "document")


def test_a_missing_key_is_found_when_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMCS_TEST_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"the embedder .*SMCS_TEST_KEY"):
        OpenAIEmbedder(Settings(backend="openai", base_url="http://x", model="m", api_key_env="SMCS_TEST_KEY"))


async def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_TEST_KEY", "sk-right-12345")
    async with (
        SimulatedEndpoint(api_key="sk-right-12345") as endpoint,
        embedder_at(endpoint, api_key_env="SMCS_TEST_KEY") as embedder,
    ):
        await embedder.start()
        assert "12345" not in repr(embedder)
