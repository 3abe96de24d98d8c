"""What holds for every embedder backend.

A backend that the registry finds and that has no recipe here fails: a new one comes with its recipe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from smcs import registry
from smcs.config import EmbedderSettings, validate
from smcs.errors import ConfigError
from smcs.protocols import BuildContext, Embedder
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.weights import cache_dir

Values: TypeAlias = dict[str, Any]
Recipe: TypeAlias = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Values]]


@asynccontextmanager
async def of_openai(_: pytest.FixtureRequest) -> AsyncIterator[Values]:
    async with SimulatedEndpoint() as endpoint:
        yield {"base_url": endpoint.base_url, "model": "words", "batch_size": 4}


@asynccontextmanager
async def of_minilm(request: pytest.FixtureRequest) -> AsyncIterator[Values]:
    request.getfixturevalue("weights_of")("minilm")
    yield {}


@asynccontextmanager
async def of_tfidf(_: pytest.FixtureRequest) -> AsyncIterator[Values]:
    yield {}


RECIPES: Mapping[str, Recipe] = {"openai": of_openai, "minilm": of_minilm, "tfidf": of_tfidf}
"""What a backend needs in its settings to be called for real."""

LEAST: Mapping[str, Values] = {"openai": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}}
"""What a backend needs in its settings to be built."""

NAMES = registry.names("embedders")
CALLED = [pytest.param(name, marks=pytest.mark.weights) if name == "minilm" else name for name in NAMES]
INSTRUCTION = "Find what is alike: "
TEXTS = [
    "Which planet is the largest of the solar system?",
    "The largest planet of the solar system is Jupiter.",
    "How do I reverse a list in Python?",
    "a",
    "é 漢字 \U0001f600 \n\t x",
    "word " * 2000,
]


def common(name: str) -> Values:
    return {"backend": name, "query_instruction": INSTRUCTION}


@pytest.fixture
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    name = request.param
    if name not in RECIPES:
        pytest.fail(f"the backend {name!r} has no recipe in this file: say how to call it")
    async with RECIPES[name](request) as values:
        module = registry.find("embedders", name)
        made: Embedder = module.create(
            validate(module.Settings, common(name) | values, "contract"), BuildContext(cache_dir())
        )
        yield made
        await made.aclose()


@pytest.mark.parametrize("name", NAMES)
def test_the_module_has_what_the_registry_needs(name: str, tmp_path: Path) -> None:
    module = registry.find("embedders", name)
    assert issubclass(module.Settings, EmbedderSettings)
    assert module.__doc__
    values = common(name) | LEAST.get(name, {})
    made = module.create(validate(module.Settings, values, "contract"), BuildContext(tmp_path))
    assert isinstance(made, Embedder)
    with pytest.raises(ConfigError, match="query_instuction"):
        validate(module.Settings, values | {"query_instuction": "x"}, "contract")


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_starting_says_what_it_is(embedder: Embedder) -> None:
    info = await embedder.start()
    assert info == await embedder.start()
    assert info.name
    assert info.dimension > 0
    assert info.query_instruction == INSTRUCTION


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_vectors_are_of_length_one_and_of_the_dimension(embedder: Embedder) -> None:
    info = await embedder.start()
    vectors = await embedder.embed(TEXTS, "document")
    assert vectors.shape == (len(TEXTS), info.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_likeness_is_seen(embedder: Embedder) -> None:
    await embedder.start()
    planets, jupiter, python = await embedder.embed(TEXTS[:3], "document")
    assert planets @ jupiter > planets @ python + 0.1


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_a_vector_does_not_depend_on_its_company_or_place(embedder: Embedder) -> None:
    await embedder.start()
    together = await embedder.embed(TEXTS, "document")
    backwards = await embedder.embed(TEXTS[::-1], "document")
    np.testing.assert_allclose(together, backwards[::-1], atol=2e-3)
    for text, vector in zip(TEXTS, together, strict=True):
        (alone,) = await embedder.embed([text], "document")
        np.testing.assert_allclose(alone, vector, atol=2e-3)


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_queries_have_their_instruction(embedder: Embedder) -> None:
    await embedder.start()
    (query,) = await embedder.embed([TEXTS[0]], "query")
    (written_out,) = await embedder.embed([INSTRUCTION + TEXTS[0]], "document")
    (document,) = await embedder.embed([TEXTS[0]], "document")
    np.testing.assert_allclose(query, written_out, atol=2e-3)
    assert not np.allclose(query, document, atol=2e-3)


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    info = await embedder.start()
    assert (await embedder.embed([], "document")).shape == (0, info.dimension)


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_many_callers_at_once(embedder: Embedder) -> None:
    await embedder.start()
    made = await asyncio.gather(*(embedder.embed([text], "query") for text in TEXTS))
    assert len(made) == len(TEXTS)


@pytest.mark.parametrize("embedder", CALLED, indirect=True)
async def test_it_is_closed_twice_without_harm(embedder: Embedder) -> None:
    await embedder.start()
    await embedder.aclose()
    await embedder.aclose()
