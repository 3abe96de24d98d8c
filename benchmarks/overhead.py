"""What the system adds to the critical path of the calls, with the paper's K = 7 and n = 8 on 15 simulated LLMs.

Each LLM takes a fixed time, so the critical path of a question is known: the slowest chain of a subset's slowest
reference and its aggregation. What the answer took beyond that is the system's own.

    python benchmarks/overhead.py [--questions 50] [--bank-questions 10000] [--embedder none|minilm]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smcs.bank import QuestionBank
from smcs.config import PoolConfig, method_settings
from smcs.llms.simulated import Settings
from smcs.strategies.smcs import SMCS
from smcs.system import build_embedder, build_pool
from smcs.types import EmbedderInfo, Question, Trace

DIMENSION = 384


class FreeEmbedder:
    """Random vectors at no cost, to leave the embedder's own time out."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    async def start(self) -> EmbedderInfo:
        return EmbedderInfo("random", "", DIMENSION)

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        vectors = self._rng.normal(size=(len(texts), DIMENSION)).astype(np.float32)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    async def aclose(self) -> None:
        pass


def random_bank(llms: Sequence[str], n: int, embedder: EmbedderInfo) -> QuestionBank:
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(n, embedder.dimension)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    questions = tuple(Question(f"Question number {i}?", id=str(i), benchmark=f"b{i % 8}") for i in range(n))
    skills = np.linspace(0.3, 0.8, len(llms))[:, None]
    capability = (rng.random((len(llms), n)) < skills).astype(np.uint8)
    return QuestionBank(questions, embeddings, embedder, tuple(llms), capability, np.ones_like(capability, dtype=bool))


def critical_path(trace: Trace, latency: dict[str, float]) -> float:
    chains = [max(latency[name] for name in subset) + latency[trace.aggregator] for subset in trace.subsets]
    return max(chains)


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--bank-questions", type=int, default=10_000)
    parser.add_argument("--embedder", choices=["none", "minilm"], default="none")
    arguments = parser.parse_args()
    latency = {f"llm-{i}": 0.05 + 0.01 * i for i in range(15)}
    config = PoolConfig(llm=tuple(Settings(name=name, backend="simulated", latency_s=s) for name, s in latency.items()))
    embedder = build_embedder(config) if arguments.embedder == "minilm" else FreeEmbedder()
    bank = random_bank(list(latency), arguments.bank_questions, await embedder.start())
    added = []
    async with build_pool(config) as pool:
        strategy = SMCS(pool, bank, embedder, method_settings("paper"))
        for i in range(arguments.questions + 3):
            begin = time.perf_counter()
            answer = await strategy.answer(Question(f"How many moons has planet number {i}?"), seed=i)
            added.append(time.perf_counter() - begin - critical_path(answer.trace, latency))
    milliseconds = 1000 * np.array(added[3:])
    p50, p95, most = np.percentile(milliseconds, [50, 95, 100])
    print(
        f"{arguments.questions} questions, bank of {arguments.bank_questions}, embedder {arguments.embedder}: added to "
        f"the critical path: median {p50:.1f} ms, p95 {p95:.1f} ms, most {most:.1f} ms"
    )


if __name__ == "__main__":
    asyncio.run(main())
