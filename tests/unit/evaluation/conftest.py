"""A pool that counts what it is asked, a bank, and questions to compare strategies on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from smcs.bank import QuestionBank
from smcs.bank.grading import Graders, ToGrade
from smcs.config import LLMSettings, SMCSSettings
from smcs.evaluation import ResultsStore, open_results
from smcs.pool import Pool, PooledLLM
from smcs.protocols import Progress
from smcs.strategies import Parts
from smcs.types import Completion, EmbedderInfo, Grade, LLMInfo, Message, Question, Request

EMBEDDER = EmbedderInfo("letters", "1", 26)


class CountingLLM:
    """Answers "The answer is N." with `reply(question, sample)`; remembers what it was asked."""

    def __init__(self, name: str, *, logprobs: bool | None = True, samples: bool = True, price: float | None = 1.0):
        self.info = LLMInfo(name, "counting", name, logprobs, samples, None, price, price)
        self.requests: list[Request] = []
        self.reply: Callable[[str, int], str | Exception] = lambda question, sample: "1"
        self.free = asyncio.Event()
        self.free.set()
        self.cancelled = 0
        self.gives_logprobs = True

    @property
    def samples(self) -> int:
        return sum(r.n for r in self.requests)

    async def start(self) -> None:
        pass

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        self.requests.append(request)
        try:
            await asyncio.sleep(0)
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        made = []
        for i in range(request.n):
            said = self.reply(request.messages[-1].content, request.sample_index + i)
            if isinstance(said, Exception):
                raise said
            logprobs = (-0.1, -0.2) if request.sampling.logprobs and self.gives_logprobs else None
            made.append(Completion("", f"The answer is {said}.", None, "stop", logprobs, 0 if i else 10, 5))
        return made

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(m.content.split()) for m in messages)

    async def aclose(self) -> None:
        pass


class LetterEmbedder:
    def __init__(self) -> None:
        self.embedded: list[str] = []

    async def start(self) -> EmbedderInfo:
        return EMBEDDER

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        self.embedded += texts
        return vectors(texts)

    async def aclose(self) -> None:
        pass


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    rows = np.array([[t.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for t in texts], np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


class Lab:
    """LLMs a, b, c, ... of falling strength, a bank of six questions, and `n` others to test on."""

    def __init__(self, names: str = "abc", n: int = 4, **settings: Any) -> None:
        self.llms = {name: CountingLLM(name) for name in names}
        self.embedder = LetterEmbedder()
        self.settings = {
            "k": 2,
            "n_base": 4,
            "n_aggregations": 2,
            "sampling": {"temperature": 0.7, "max_tokens": 50},
            **settings,
        }
        words = ["apple", "banana", "cherry", "damson", "elder", "fig"]
        self.bank_questions = tuple(Question(f"bank {w}", id=w, answer="1", benchmark="one") for w in words)
        self.questions = [
            Question(f"tested {i} {'x' * (i % 5)}", id=f"t{i}", answer="1", grader="numeric", benchmark="one")
            for i in range(n)
        ]

    def bank(self) -> QuestionBank:
        capability = np.array([[i >= r for i in range(6)] for r in range(len(self.llms))], dtype=np.uint8)
        embeddings = vectors([q.text for q in self.bank_questions])
        return QuestionBank(
            self.bank_questions,
            embeddings,
            EMBEDDER,
            tuple(self.llms),
            capability,
            np.ones_like(capability, dtype=bool),
        )

    def pool(self) -> Pool:
        return Pool(
            [
                PooledLLM(llm, LLMSettings(name=name, backend="counting", max_retries=0))
                for name, llm in self.llms.items()
            ]
        )

    def parts(self) -> Parts:
        return Parts(self.pool(), self.bank(), self.embedder, SMCSSettings(**self.settings))

    @property
    def samples(self) -> int:
        """How many samples all LLMs were asked for."""
        return sum(llm.samples for llm in self.llms.values())


class InlineGrading:
    """Grades at once and here; that grading happens in other processes is tested with the bank's."""

    def __init__(self, graded: Callable[[ToGrade, Grade], None], **_: Any) -> None:
        self._graded = graded
        self._graders = Graders()

    async def __aenter__(self) -> InlineGrading:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def put(self, item: ToGrade) -> None:
        self._graded(item, self._graders.get(item.question.grader).grade(item.text, item.question))

    async def room(self, most: int) -> None:
        pass

    async def join(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _inline_grading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smcs.evaluation.run.GradingPool", InlineGrading)


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def make_lab() -> type[Lab]:
    return Lab


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ResultsStore]:
    async with open_results(tmp_path / "results.db") as opened:
        yield opened
