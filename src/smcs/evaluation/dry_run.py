"""What an evaluation would call and cost, found out by running its strategies on made-up responses.

Every strategy walks through its real call graph, and calls are shared as in a real run, so that what is counted is the
union of all calls that are not stored yet. Nothing is called, embedded or written. Which LLMs retrieval would choose is
not known without embedding the questions: similarities are made up, too.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smcs.errors import CallError, NoAnswerError, QuestionError
from smcs.evaluation.evaluate import Comparison
from smcs.evaluation.progress import Tally
from smcs.evaluation.run import Tested, answer_seed
from smcs.evaluation.setup import Setup, make_setups
from smcs.evaluation.shared import Ask, SharedCalls, SharedLLM
from smcs.evaluation.store import ResultsStore
from smcs.pool import Pool, Result
from smcs.pool.budget import Budget, price
from smcs.types import Completion, EmbedderInfo, LLMInfo, Message

_CHARACTERS_PER_TOKEN = 3.5
_TOKENS_PER_MESSAGE = 8
_UNLIMITED = 1024
_SAMPLE = 40
_STATED = "Answer: A\n\nThe answer is 1."
"""Something that most graders read an answer from, so that votes find something to count."""


@dataclass(frozen=True, slots=True)
class LLMEstimate:
    """What one LLM would be asked.

    Attributes:
        calls: samples.
        most_completion_tokens: if every one is as long as it may be.
    """

    info: LLMInfo
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    most_completion_tokens: float = 0.0

    @property
    def cost_usd(self) -> float | None:
        """None where the price is not known."""
        return price(self.info, round(self.prompt_tokens), round(self.completion_tokens))

    @property
    def most_cost_usd(self) -> float | None:
        """The same if every answer is as long as it may be; prompts that hold answers would then be longer, too."""
        return price(self.info, round(self.prompt_tokens), round(self.most_completion_tokens))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an evaluation would call.

    Attributes:
        answers: that are still to be given, over all strategies.
        known: whether the lengths of answers are known from earlier ones, for every LLM.
        sampled: whether it was worked out on some of the questions and scaled up.
    """

    llms: tuple[LLMEstimate, ...]
    answers: int
    known: bool
    sampled: bool


@dataclass(eq=False, slots=True)
class _PlannedCalls(SharedCalls):
    """Counts calls and makes responses up."""

    expected: Mapping[str, float] = field(default_factory=dict)
    counts: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _planned: dict[bytes, Completion] = field(default_factory=dict)

    def pool(self, pool: Pool) -> Pool:
        return Pool([_PlannedLLM(llm, self) for llm in pool])

    async def _stored(self, addresses: Sequence[bytes]) -> dict[bytes, Completion]:
        planned = {key: self._planned[key] for key in addresses if key in self._planned}
        return {**await self.store.completions([key for key in addresses if key not in planned]), **planned}

    async def _call(self, ask: Ask, run: Sequence[int]) -> list[Result]:
        messages, sampling = ask.llm.in_force(ask.request, keep_system=ask.keep_system)
        prompt = estimated_tokens(messages)
        most = sampling.max_tokens or _UNLIMITED
        generated = min(self.expected.get(ask.llm.name, most), most)
        prompts = 1 if ask.llm.info.multiple_samples else len(run)
        added = np.array([len(run), prompts * prompt, len(run) * generated, len(run) * most], dtype=np.float64)
        self.counts[ask.llm.name] = self.counts.get(ask.llm.name, np.zeros(4)) + added
        padding = "word " * max(0, round(generated * _CHARACTERS_PER_TOKEN / 5) - 8)
        made = [
            Completion(
                llm=ask.llm.name,
                text=f"{padding}\n\n{_STATED}",
                token_logprobs=(-0.5, -0.5) if ask.request.sampling.logprobs else None,
                prompt_tokens=prompt,
                completion_tokens=round(generated),
                cost_usd=0.0,
            )
            for _ in run
        ]
        self._planned.update((ask.addresses[i][0], completion) for i, completion in zip(run, made, strict=True))
        return list[Result](made)


class _PlannedLLM(SharedLLM):
    """Counts tokens without a tokenizer, which would have to be loaded."""

    async def count_tokens(self, messages: Sequence[Message], *, keep_system: bool = False) -> int:
        return estimated_tokens(messages)


class _MadeUpEmbedder:
    """Directions that depend on the text alone."""

    def __init__(self, info: EmbedderInfo) -> None:
        self._info = info

    async def start(self) -> EmbedderInfo:
        return self._info

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
        vectors = np.stack([np.random.default_rng(seed).normal(size=self._info.dimension) for seed in seeds])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    async def aclose(self) -> None:
        pass


async def dry_run(
    store: ResultsStore, comparisons: Sequence[Comparison], *, expected_tokens: float | None = None
) -> Estimate:
    """Find out what evaluations that share their calls would call. Calls nothing and writes nothing.

    Args:
        store: what is stored already; may be open for reading only.
        comparisons: as for the evaluations themselves; the embedders are not used.
        expected_tokens: how long an answer is taken to be of an LLM of which no earlier one is stored; by default as
            long as it may be.

    Raises:
        ConfigError: settings that the pool or the bank cannot meet.
    """
    known = await store.mean_completion_tokens()
    llms = {llm.name: llm for comparison in comparisons for llm in comparison.parts.pool}
    assumed = {} if expected_tokens is None else dict.fromkeys(llms, expected_tokens)
    calls = _PlannedCalls(store, Budget(), Tally(), expected={**assumed, **known})
    work = await _work(store, comparisons, calls)
    await _walk(work[:1])  # what is done once for all questions falls to the first
    first = {name: counts.copy() for name, counts in calls.counts.items()}
    rest = work[1:]
    sample = rest[:: max(1, len(rest) // _SAMPLE)] if len(rest) > 2 * _SAMPLE else rest
    await _walk(sample)
    scale = len(rest) / len(sample) if sample else 0.0
    estimates = []
    for llm in llms.values():
        begun = first.get(llm.name, np.zeros(4))
        total = begun + scale * (calls.counts.get(llm.name, np.zeros(4)) - begun)
        estimates.append(LLMEstimate(llm.info, *(float(value) for value in total)))
    asked = [llm for llm in estimates if llm.calls]
    return Estimate(
        llms=tuple(estimates),
        answers=sum(len(missing) for *_, missing in work),
        known=all(llm.info.name in calls.expected for llm in asked),
        sampled=len(sample) < len(rest),
    )


async def _work(
    store: ResultsStore, comparisons: Sequence[Comparison], calls: _PlannedCalls
) -> list[tuple[Tested, int, list[Setup]]]:
    """What is left to answer, question by question, by strategies whose calls are planned."""
    missing: dict[tuple[str, int], tuple[Tested, int, list[Setup]]] = {}
    for comparison in comparisons:
        parts = comparison.parts
        embedder = _MadeUpEmbedder(parts.bank.embedder)
        planned = dataclasses.replace(parts, pool=calls.pool(parts.pool), embedder=embedder)
        setups = make_setups(comparison.specs, planned)
        done = {setup.digest: set(await store.answers(setup.digest)) for setup in setups}
        for seed in range(comparison.seeds):
            for one in comparison.tested:
                left = [setup for setup in setups if (one.digest, seed) not in done[setup.digest]]
                if left:
                    missing.setdefault((one.digest, seed), (one, seed, []))[2].extend(left)
    return list(missing.values())


async def _walk(work: Sequence[tuple[Tested, int, Sequence[Setup]]]) -> None:
    for tested, seed, setups in work:
        question = dataclasses.replace(tested.question, answer=None)
        for setup in setups:
            try:
                await setup.strategy.answer(question, seed=answer_seed(seed, question))
            except (NoAnswerError, QuestionError, CallError):
                continue
        await asyncio.sleep(0)


def estimated_tokens(messages: Sequence[Message]) -> int:
    """About how many tokens a prompt has."""
    return round(sum(len(m.content) / _CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE for m in messages))
