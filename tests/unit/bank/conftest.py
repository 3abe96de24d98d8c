"""Banks, embedders and LLMs whose every answer the test decides."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from smcs.bank.create import create_bank
from smcs.config import LLMSettings, SamplingSettings
from smcs.protocols import Progress
from smcs.types import Completion, EmbedderInfo, Failure, LLMInfo, Question, Request

DIMENSION = 16


class WordEmbedder:
    """Counts words by their hash."""

    def __init__(self, info: EmbedderInfo | None = None) -> None:
        self.info = info or EmbedderInfo("words", "1", DIMENSION)
        self.kinds: set[str] = set()
        self.scale = 1.0

    async def start(self) -> EmbedderInfo:
        return self.info

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        self.kinds.add(kind)
        vectors = np.zeros((len(texts), self.info.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.split():
                row[int(hashlib.md5(word.encode()).hexdigest(), 16) % self.info.dimension] += 1
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit * np.float32(self.scale)

    async def aclose(self) -> None:
        return None


class FakeLLM:
    """An LLM of a pool: answers with `reply(question text)`, a text or a failure's kind in angle brackets."""

    def __init__(
        self,
        name: str = "fake",
        reply: Callable[[str], str] = lambda text: "The answer is B.",
        *,
        model: str = "fake-1",
        concurrency: int = 4,
        prices: tuple[float, float] | None = None,
        tokens: int = 10,
        sampling: dict[str, Any] | None = None,
        system: str | None = None,
    ) -> None:
        self.info = LLMInfo(
            name,
            "fake",
            model,
            price_prompt=prices[0] if prices else None,
            price_completion=prices[1] if prices else None,
        )
        self.settings = LLMSettings(
            name=name,
            backend="fake",
            max_concurrency=concurrency,
            system=system,
            sampling=SamplingSettings(**(sampling or {})),
        )
        self.reply = reply
        self.tokens = tokens
        self.requests: list[Request] = []
        self.running = self.most_running = 0
        self.released = asyncio.Event()
        self.released.set()
        self.asked = asyncio.Event()

    @property
    def asked_for(self) -> list[str]:
        return [request.messages[-1].content for request in self.requests]

    async def complete(self, request: Request, progress: Progress) -> list[Completion | Failure]:
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.asked.set()
        try:
            await asyncio.sleep(0)
            await self.released.wait()
        finally:
            self.running -= 1
        text = self.reply(request.messages[-1].content)
        if text.startswith("<"):
            return [Failure(self.info.name, text.strip("<>"), f"it failed: {text}", attempts=2)]
        prices = self.info.price_prompt, self.info.price_completion
        cost = None if prices[0] is None or prices[1] is None else (20 * prices[0] + self.tokens * prices[1]) / 1e6
        return [
            Completion(
                self.info.name, text, prompt_tokens=20, completion_tokens=self.tokens, cost_usd=cost, seconds=0.5
            )
        ]


def question(number: int, **fields: Any) -> Question:
    values: dict[str, Any] = {
        "text": f"question {number} about {'cats' if number % 2 else 'dogs'}",
        "id": f"q{number}",
        "answer": "B",
        "grader": "choice",
        "benchmark": "cats" if number % 2 else "dogs",
        "options": ("one", "two", "three"),
    }
    return Question(**(values | fields))


@pytest.fixture
def make_bank(tmp_path: Path) -> Callable[..., Path]:
    """Makes a bank file of so many questions, or of these."""

    def make(questions: int | Sequence[Question] = 6, name: str = "test.bank", **options: Any) -> Path:
        items = [question(i) for i in range(questions)] if isinstance(questions, int) else questions
        path = tmp_path / name
        making = create_bank(path, [(q, "validation") for q in items], WordEmbedder(), **options)
        with ThreadPoolExecutor(1) as other_thread:  # the test's own may run an event loop
            other_thread.submit(asyncio.run, making).result()
        return path

    return make


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes a questions file; a line is an object, or text as it stands."""

    def write(*lines: Any, name: str = "questions.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
        return path

    return write


@pytest.fixture
def fake_llm() -> type[FakeLLM]:
    return FakeLLM


@pytest.fixture
def word_embedder() -> type[WordEmbedder]:
    return WordEmbedder


@pytest.fixture
def a_question() -> Callable[..., Question]:
    return question
