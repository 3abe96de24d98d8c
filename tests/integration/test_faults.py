"""A pool of fifteen LLMs whose endpoint fails at every tenth call still gives well-formed answers, and only real ones.

How late answers are is measured by `benchmarks/faults.py`: a machine that stalls makes no program wrong.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np

from smcs.bank import QuestionBank
from smcs.config import PoolConfig, SamplingSettings, SMCSSettings
from smcs.errors import NoAnswerError
from smcs.llms import openai, simulated
from smcs.system import System, build_pool
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.types import Answer, EmbedderInfo, Limits, Question

N = 200
AT_ONCE = 40
DEADLINE_S = 120.0
FAULTS = simulated.Faults(
    rate_limit=0.02, server_error=0.02, connection=0.02, hang=0.01, malformed=0.015, empty=0.01, retry_after_s=0.05
)
NO_CHOICES = 0.005
NAMES = [f"llm-{i}" for i in range(15)]
EMBEDDER = EmbedderInfo("words", "1", 8)


class WordEmbedder:
    """Random directions that depend on the text alone."""

    async def start(self) -> EmbedderInfo:
        return EMBEDDER

    async def embed(self, texts: Any, kind: str) -> Any:
        rows = np.stack([np.random.default_rng(list(text.encode())).normal(size=8) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    async def aclose(self) -> None:
        pass


async def bank_of(embedder: WordEmbedder) -> QuestionBank:
    questions = tuple(Question(f"What is {i} times 7?", id=str(i)) for i in range(60))
    capability = (np.random.default_rng(0).random((15, 60)) < np.linspace(0.5, 0.9, 15)[:, None]).astype(np.uint8)
    embeddings = await embedder.embed([q.text for q in questions], "document")
    return QuestionBank(questions, embeddings, EMBEDDER, tuple(NAMES), capability, np.ones((15, 60), dtype=bool))


async def test_answers_are_well_formed_and_real_though_calls_fail() -> None:
    rng, sent = random.Random(0), set[str]()

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        if rng.random() < NO_CHOICES:
            return {**body, "choices": []}
        sent.update(choice["message"]["content"] for choice in body["choices"] if "message" in choice)
        return body

    served = [simulated.Settings(name=name, backend="simulated", skill=0.8, tokens=8, faults=FAULTS) for name in NAMES]
    async with SimulatedEndpoint(*served, edit=edit) as endpoint:
        pool = PoolConfig(
            llm=tuple(
                openai.Settings(
                    name=name,
                    backend="openai",
                    model=name,
                    base_url=endpoint.base_url,
                    timeout_s=2.0,
                    max_backoff_s=0.1,
                )
                for name in NAMES
            )
        )
        embedder = WordEmbedder()
        settings = SMCSSettings(n_base=20, sampling=SamplingSettings(max_tokens=100))
        async with System(build_pool(pool), await bank_of(embedder), embedder, settings) as system:
            places = asyncio.Semaphore(AT_ONCE)

            async def ask(i: int) -> Answer | None:
                async with places:
                    try:
                        return await system.ask(f"What is {i} plus 19?", seed=i, limits=Limits(seconds=DEADLINE_S))
                    except NoAnswerError:
                        return None

            answers = await asyncio.gather(*(ask(i) for i in range(N)))
        calls = endpoint.calls
    given = [answer for answer in answers if answer is not None]
    assert calls > 8 * N, "the faults are tried again"
    assert len(given) >= 0.99 * N
    assert all(answer.text in sent for answer in given), "no text is invented"
    assert all("The answer is" in answer.text for answer in given), "none is empty or cut off"
