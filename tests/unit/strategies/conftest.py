"""A pool whose every answer and every delay the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from smcs.bank import QuestionBank
from smcs.config import LLMSettings, SMCSSettings
from smcs.errors import BadRequestError, SmcsError
from smcs.pool import Pool, PooledLLM
from smcs.protocols import Progress, Strategy
from smcs.strategies import Parts, build, parse_specs
from smcs.strategies.smcs import SMCS
from smcs.types import Completion, EmbedderInfo, LLMInfo, Message, Question, Request

EMBEDDER = EmbedderInfo("letters", "1", 26)


def is_aggregation(request: Request) -> bool:
    return "Responses from models:" in request.messages[0].content


class ScriptedLLM:
    """Answers with `reply(request)`; a test may hold its answers back and look at what it was asked."""

    def __init__(
        self, name: str, *, context_length: int | None = None, logprobs: bool = True, samples: bool = True
    ) -> None:
        self._info = LLMInfo(name, "scripted", name, logprobs, samples, context_length)
        self.requests: list[Request] = []
        self.released = asyncio.Event()
        self.released.set()
        self.asked = asyncio.Event()
        self.cancelled = False
        self.start_error: SmcsError | None = None
        self.reply: Callable[[Request, int], str | Exception] = lambda request, sample: f"{name} says {sample}"
        self.logprobs: Callable[[int], tuple[float, ...]] = lambda sample: (-0.1, -0.2)
        self.reasoning: str | None = None
        self.finish_reason = "stop"

    @property
    def info(self) -> LLMInfo:
        return self._info

    async def start(self) -> None:
        if self.start_error:
            raise self.start_error

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        self.requests.append(request)
        self.asked.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return [self._completion(request, request.sample_index + i) for i in range(request.n)]

    def _completion(self, request: Request, sample: int) -> Completion:
        text = self.reply(request, sample)
        if isinstance(text, Exception):
            raise text
        return Completion(
            llm=self._info.name,
            text=text,
            reasoning=self.reasoning,
            finish_reason=self.finish_reason,
            token_logprobs=self.logprobs(sample) if request.sampling.logprobs else None,
            prompt_tokens=10,
            completion_tokens=5,
        )

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(m.content.split()) for m in messages)

    async def aclose(self) -> None:
        pass


class LetterEmbedder:
    """Embeds a text as its letter frequencies."""

    def __init__(self) -> None:
        self.error: SmcsError | None = None

    async def start(self) -> EmbedderInfo:
        return EMBEDDER

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        if self.error and kind == "document":
            raise self.error
        rows = [[text.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for text in texts]
        array = np.array(rows, dtype=np.float32)
        unit: NDArray[np.float32] = array / np.linalg.norm(array, axis=1, keepdims=True)
        return unit

    async def aclose(self) -> None:
        pass


class Lab:
    """A pool of scripted LLMs a, b, c, ... of falling strength, a bank, and the strategy over them."""

    def __init__(self, names: str = "abcd", **settings: Any) -> None:
        self.llms = {name: ScriptedLLM(name) for name in names}
        self.embedder = LetterEmbedder()
        self.overrides: dict[str, dict[str, Any]] = {}
        self.settings = {"k": 3, "n_base": 4, "n_aggregations": 4, **settings}
        self.questions = tuple(
            Question(f"question {word}", id=word, answer="SECRET", benchmark="instructions" if i % 2 else "other")
            for i, word in enumerate(["apple", "banana", "cherry", "damson", "elder", "fig"])
        )

    def bank(self) -> QuestionBank:
        # LLM r of R is right on all questions but the first r.
        capability = np.array([[i >= r for i in range(6)] for r in range(len(self.llms))], dtype=np.uint8)
        texts = [q.text for q in self.questions]
        rows = np.array([[t.count(chr(97 + i)) + 1e-3 for i in range(26)] for t in texts], dtype=np.float32)
        embeddings = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        observed = np.ones_like(capability, dtype=bool)
        return QuestionBank(self.questions, embeddings, EMBEDDER, tuple(self.llms), capability, observed)

    def pool(self) -> Pool:
        return Pool(
            [
                PooledLLM(
                    llm, LLMSettings(name=name, backend="scripted", max_retries=0, **self.overrides.get(name, {}))
                )
                for name, llm in self.llms.items()
            ]
        )

    def strategy(self) -> SMCS:
        return SMCS(self.pool(), self.bank(), self.embedder, SMCSSettings(**self.settings))

    def build(self, spec: str) -> Strategy:
        """Any strategy, as the command line names it."""
        (parsed,) = parse_specs(spec)
        return build(parsed, Parts(self.pool(), self.bank(), self.embedder, SMCSSettings(**self.settings)))

    def answers(self, **texts: str) -> None:
        """Have LLMs answer these texts; the aggregator's job is theirs too, and they do it by "aggregated by ..."."""
        for name, text in texts.items():

            def reply(request: Request, sample: int, name: str = name, text: str = text) -> str:
                return f"aggregated by {name}" if is_aggregation(request) else text

            self.llms[name].reply = reply

    def asked(self, name: str) -> list[Request]:
        return self.llms[name].requests

    def fail(self, *names: str) -> None:
        for name in names:
            self.llms[name].reply = lambda request, sample: BadRequestError("refused")


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def make_lab() -> type[Lab]:
    return Lab
