"""Calls that strategies share: what one has asked, no other asks again.

A call is known by its content: the LLM, the messages, the sampling settings in force and the index of the sample. It is
made once, whoever needs it first, and stored; who needs it while it is under way waits for it, and whoever needs it
later reads it. The same holds over runs that use the same results file. What an answer is said to have taken is what
it would have taken alone, whatever others had asked before.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smcs.bank import keys
from smcs.evaluation.progress import Tally
from smcs.evaluation.store import ResultsStore
from smcs.pool import Pool, PooledLLM, Result
from smcs.pool.budget import Budget, Cost, price
from smcs.protocols import Embedder, Progress
from smcs.types import Completion, EmbedderInfo, Failure, LLMInfo, Message, Request, Sampling

_SILENT = Progress()
_IN_A_ROW = 20
_ONLY_THIS_PROMPT = frozenset({"context_length", "malformed_response", "bad_request", "cancelled"})
_NEVER_BETTER = frozenset({"authentication"})
_EMBEDDINGS_KEPT = 20_000


def llm_identity(info: LLMInfo) -> str:
    """What makes an LLM's calls its own: name, backend and model."""
    return keys.llm_uid(info.name, info.backend, info.model)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to an LLM whose calls are shared.

    Attributes:
        addresses: of each sample, the keys under which it may be stored; the first is the one it is stored under.
        keep_system: see `PooledLLM.complete`.
    """

    llm: SharedLLM
    request: Request
    addresses: Sequence[tuple[bytes, ...]]
    progress: Progress
    keep_system: bool


@dataclass(eq=False, slots=True)
class _Job:
    """A request for samples that nobody had asked for before, and how many are waiting for it."""

    task: asyncio.Task[list[Result]]
    waiting: int = 0


@dataclass(eq=False, slots=True)
class SharedCalls:
    """All calls of an evaluation.

    Attributes:
        store: where they are kept.
        budget: what the run may spend.
        tally: where to count.
        stop: told once why no more calls are made; they wait from then on, until they are cancelled.
    """

    store: ResultsStore
    budget: Budget
    tally: Tally
    stop: Callable[[str], None] = lambda _: None
    _jobs: dict[bytes, tuple[_Job, int]] = field(default_factory=dict)
    _failed: dict[bytes, Failure] = field(default_factory=dict)
    _in_a_row: dict[str, int] = field(default_factory=dict)
    _running: set[asyncio.Task[list[Result]]] = field(default_factory=set)
    _stopped: bool = False

    def pool(self, pool: Pool) -> Pool:
        """The same LLMs, with their calls shared."""
        return Pool([SharedLLM(llm, self) for llm in pool])

    async def aclose(self) -> None:
        """End what is still running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def samples(self, ask: Ask) -> list[Result]:
        """One result for each sample: stored, under way, or asked for now."""
        jobs = self._claimed(ask)
        distinct = {id(job): job for job, _ in jobs}
        for job in distinct.values():
            job.waiting += 1
        try:
            return [(await asyncio.shield(job.task))[position] for job, position in jobs]
        finally:
            for job in distinct.values():
                job.waiting -= 1
                if not job.waiting and not job.task.done():
                    self._forget(job)
                    job.task.cancel()

    def _claimed(self, ask: Ask) -> list[tuple[_Job, int]]:
        """The job of each sample, begun where there is none. Runs without a pause, so that no key is claimed twice."""
        self.tally.reused(sum(key in self._jobs for key, *_ in ask.addresses))
        first_with: dict[bytes, int] = {}  # equal addresses (greedy samples) are one sample
        for i, (key, *_) in enumerate(ask.addresses):
            if key not in self._jobs:
                first_with.setdefault(key, i)
        wanted = list(first_with.values())
        if wanted:
            task = asyncio.create_task(self._provide(ask, wanted))
            job = _Job(task)
            self._running.add(task)
            task.add_done_callback(lambda _: self._ended(job))
            for position, i in enumerate(wanted):
                self._jobs[ask.addresses[i][0]] = (job, position)
        return [self._jobs[key] for key, *_ in ask.addresses]

    def _ended(self, job: _Job) -> None:
        self._forget(job)
        self._running.discard(job.task)
        if not job.task.cancelled():
            job.task.exception()  # looked at: who waits for it raises it

    def _forget(self, job: _Job) -> None:
        for key in [key for key, (of, _) in self._jobs.items() if of is job]:
            del self._jobs[key]

    async def _provide(self, ask: Ask, wanted: Sequence[int]) -> list[Result]:
        """Results of the wanted samples, stored once they are there."""
        addresses = ask.addresses
        stored = await self._stored([key for i in wanted for key in addresses[i]])
        found: dict[int, Result] = {}
        for i in wanted:
            there = next((stored[key] for key in addresses[i] if key in stored), None)
            failure = self._failed.get(addresses[i][0])
            if there is not None:
                found[i] = there
            elif failure is not None:
                found[i] = failure
        self.tally.reused(sum(isinstance(result, Completion) for result in found.values()))
        for run in _runs([i for i in wanted if i not in found]):
            results = await self._call(ask, run)
            found.update(zip(run, results, strict=True))
            failed = {addresses[i][0]: r for i, r in zip(run, results, strict=True) if isinstance(r, Failure)}
            self._failed.update(failed)
        ask.progress.tokens(sum(r.completion_tokens for r in found.values() if isinstance(r, Completion)))
        return [found[i] for i in wanted]

    async def _stored(self, addresses: Sequence[bytes]) -> dict[bytes, Completion]:
        return await self.store.completions(addresses)

    async def _keep(self, calls: Sequence[tuple[bytes, int, Completion]]) -> None:
        await self.store.put_completions(calls)

    async def _call(self, ask: Ask, run: Sequence[int]) -> list[Result]:
        """Ask for samples that follow each other, within the budget, and store what comes.

        Each result holds its prompt's tokens.
        """
        llm, request = ask.llm, ask.request
        part = dataclasses.replace(request, n=len(run), sample_index=request.sample_index + run[0])
        worst = llm.worst(part, keep_system=ask.keep_system)
        if self._stopped or not await self.budget.reserve(worst):
            await self._halt("the budget is used up")
        spent = Cost()
        self.tally.begin(llm.name)
        try:
            results = await llm.really_complete(part, ask.progress, keep_system=ask.keep_system)
            done = [r for r in results if isinstance(r, Completion)]
            tokens = sum(r.prompt_tokens + r.completion_tokens for r in done)
            spent = Cost(sum(r.cost_usd or 0.0 for r in done), tokens)
            self.tally.made(llm.name, results)
            prompt = max((r.prompt_tokens for r in done), default=0)
            full = [dataclasses.replace(r, prompt_tokens=prompt) if isinstance(r, Completion) else r for r in results]
            # Stored before the budget hears of it: where this is the last call it allows, the run ends at once.
            pairs = zip(run, full, strict=True)
            await self._keep([(ask.addresses[i][0], i, r) for i, r in pairs if isinstance(r, Completion)])
        finally:
            self.tally.end(llm.name)
            self.budget.settle(worst, spent)
        self._look_at(llm, results)
        return full

    async def _halt(self, reason: str) -> None:
        """Make no more calls, and wait to be cancelled."""
        if not self._stopped:
            self._stopped = True
            self.stop(reason)
        await asyncio.Event().wait()

    def _look_at(self, llm: SharedLLM, results: Sequence[Result]) -> None:
        """Stop where an LLM only fails: answers without it would not be the strategy's."""
        failures = [r for r in results if isinstance(r, Failure)]
        if len(failures) < len(results):
            self._in_a_row[llm.name] = 0
            return
        first = failures[0]
        if first.kind in _ONLY_THIS_PROMPT or self._stopped:
            return
        count = self._in_a_row[llm.name] = self._in_a_row.get(llm.name, 0) + 1
        if first.kind in _NEVER_BETTER or count >= max(_IN_A_ROW, 2 * llm.settings.max_concurrency):
            self._stopped = True
            self.stop(f"{llm.name} only fails ({count} calls in a row, the last: {first.message})")


class SharedLLM(PooledLLM):
    """An LLM of the pool whose calls are shared.

    Args:
        llm: the LLM as the pool has it.
        shared: the calls.
    """

    def __init__(self, llm: PooledLLM, shared: SharedCalls) -> None:
        super().__init__(llm.llm, llm.settings)
        self._shared = shared
        self._gives_logprobs = True
        self._identity = llm_identity(self.info)

    @property
    def usable(self) -> bool:
        """Always: an evaluation compares strategies as they are, and makes answers again that a failure spoiled."""
        return True

    async def complete(
        self, request: Request, progress: Progress = _SILENT, *, keep_system: bool = False
    ) -> list[Result]:
        """See `PooledLLM.complete`. What is stored or under way is not asked for again."""
        # With log-probabilities asked for wherever they are given, best-of-n's samples are self-consistency's too.
        if not request.sampling.logprobs and self._gives_logprobs and self.info.logprobs is True:
            sampling = dataclasses.replace(request.sampling, logprobs=True)
            more = dataclasses.replace(request, sampling=sampling)
            results = await self._samples(more, progress, keep_system, needed=False)
            if not any(isinstance(r, Failure) and r.kind == "logprobs_unavailable" for r in results):
                return self._as_if_alone(request, results)
            self._gives_logprobs = False
        results = await self._samples(request, progress, keep_system, needed=request.sampling.logprobs)
        return self._as_if_alone(request, results)

    async def really_complete(self, request: Request, progress: Progress, *, keep_system: bool) -> list[Result]:
        """Ask the LLM."""
        return await super().complete(request, progress, keep_system=keep_system)

    async def _samples(self, request: Request, progress: Progress, keep_system: bool, *, needed: bool) -> list[Result]:
        """The samples; those without log-probabilities will do where these are not needed."""
        addresses = self.addresses(request, keep_system=keep_system, needed=needed)
        return await self._shared.samples(Ask(self, request, addresses, progress, keep_system))

    def addresses(self, request: Request, *, keep_system: bool, needed: bool) -> list[tuple[bytes, ...]]:
        """Of each sample, the keys under which it may be stored (see `Ask`).

        Args:
            needed: whether the log-probabilities are, where they are asked for.
        """
        messages, sampling = self.in_force(request, keep_system=keep_system)
        digest = keys.messages_digest(messages)
        with_logprobs = keys.sampling_digest(dataclasses.replace(sampling, logprobs=True))
        without = keys.sampling_digest(dataclasses.replace(sampling, logprobs=False))
        possible = [with_logprobs, without] if sampling.logprobs else [without, with_logprobs]
        if needed:
            possible = [with_logprobs]
        greedy = sampling.temperature == 0
        return [
            tuple(keys.call_key(self._identity, digest, s, 0 if greedy else request.sample_index + i) for s in possible)
            for i in range(request.n)
        ]

    def in_force(self, request: Request, *, keep_system: bool) -> tuple[tuple[Message, ...], Sampling]:
        """Messages and settings with this LLM's own in their place; without the seed where it does not count."""
        messages = request.messages if keep_system else self._with_own_system(request.messages)
        sampling = request.sampling.overridden_by(self.settings.sampling.to_sampling())
        if sampling.temperature == 0:
            sampling = dataclasses.replace(sampling, seed=None)
        return messages, sampling

    def _as_if_alone(self, request: Request, results: Sequence[Result]) -> list[Result]:
        """Tokens and cost of a request of its own: its prompt counts once where samples can be one request."""
        alone: list[Result] = []
        for i, result in enumerate(results):
            if isinstance(result, Failure):
                alone.append(result)
                continue
            tokens = result.prompt_tokens if i == 0 or not self.info.multiple_samples else 0
            cost = price(self.info, tokens, result.completion_tokens)
            logprobs = result.token_logprobs if request.sampling.logprobs else None
            alone.append(
                dataclasses.replace(
                    result,
                    prompt_tokens=tokens,
                    cost_usd=result.cost_usd if cost is None else cost,
                    token_logprobs=logprobs,
                )
            )
        return alone


class SharedEmbedder:
    """An embedder that embeds the same text once. Closing it is its owner's business."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[tuple[Literal["query", "document"], str], NDArray[np.float32]] = {}

    async def start(self) -> EmbedderInfo:
        """See `Embedder.start`."""
        return await self._embedder.start()

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        missing = list(dict.fromkeys(text for text in texts if (kind, text) not in self._known))
        if missing:
            vectors = await self._embedder.embed(missing, kind)
            if len(self._known) + len(missing) > _EMBEDDINGS_KEPT:
                known = {(kind, text): self._known[kind, text] for text in texts if (kind, text) in self._known}
                self._known = known
            self._known.update(((kind, text), vector) for text, vector in zip(missing, vectors, strict=True))
        return np.stack([self._known[kind, text] for text in texts])

    async def aclose(self) -> None:
        """Nothing of its own."""
        with contextlib.suppress(AttributeError):
            self._known.clear()


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Numbers in ascending order, cut where one does not follow the one before."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
