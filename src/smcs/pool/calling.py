"""One LLM of the pool, as everything above sees it: `PooledLLM.complete` never loses a sample and never invents one."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Sequence

from smcs.config import LLMSettings
from smcs.errors import CallError, SmcsError, UsageError
from smcs.pool.budget import Cost, most_tokens, price
from smcs.pool.call import SEEDS, Call
from smcs.pool.health import Breaker
from smcs.pool.outcomes import Result, failure_of, logprobs_unavailable, priced, unsupported
from smcs.pool.places import Places
from smcs.prompts import one_system_message
from smcs.protocols import LLM, Progress
from smcs.transport.retry import Sleep
from smcs.transport.tasks import all_of
from smcs.types import Completion, Failure, LLMInfo, Message, Request, Sampling

_SILENT = Progress()
_TOKENS_OF_A_TEMPLATE = 64
"""Some chat templates put in a system prompt of their own where there is none."""
_TRIAL_S = 30.0
_START_AGAIN_S = 30.0
"""A failed start is not tried again before this: each of ten thousand calls would wait for the same dead server."""


class PooledLLM:
    """An LLM with its limits, retries, overrides and prices.

    Args:
        llm: how to reach it; one attempt a call.
        settings: of this LLM in the pool.
        rng: source of the jitter between retries; by default seeded by the name.
        sleep: how to wait between retries.
    """

    def __init__(
        self, llm: LLM, settings: LLMSettings, rng: random.Random | None = None, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.llm = llm
        self.settings = settings
        self._info = priced(llm.info, settings)
        self._rng = rng or random.Random(settings.name)
        self._sleep = sleep
        self._places = Places(settings.max_concurrency, settings.max_backoff_s, sleep)
        self._sampling = settings.sampling.to_sampling()
        self._overrides_sampling = self._sampling != Sampling()
        self._one_at_a_time = False
        self._started = False
        self._starting: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._start_failed: tuple[float, SmcsError] | None = None
        self._closed = False
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_s)
        self._trying: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"PooledLLM({self.name!r})"

    @property
    def name(self) -> str:
        """Its name in the pool."""
        return self.settings.name

    @property
    def info(self) -> LLMInfo:
        """What is known of it; more after `start`, and of its log-probabilities after a call that gave them."""
        return self._info

    async def start(self) -> None:
        """Fetch, load or connect; again without effect. Many may ask for it at once: it happens once.

        Raises:
            SmcsError: it cannot be made ready. The same error comes again for half a minute, then it is tried anew.
        """
        self._check_open()
        if self._started:
            return
        loop = asyncio.get_running_loop()
        if self._starting is None or self._starting[0] is not loop:
            self._starting = (loop, asyncio.Lock())
        async with self._starting[1]:
            if self._is_started():  # meanwhile, by another task
                return
            if self._start_failed and time.monotonic() - self._start_failed[0] < _START_AGAIN_S:
                raise self._start_failed[1]
            try:
                await self.llm.start()
            except SmcsError as error:
                self._start_failed = (time.monotonic(), error)
                raise
            self._started = True
            self._info = priced(self.llm.info, self.settings)  # a backend may know its context only now

    async def count_tokens(self, messages: Sequence[Message], *, keep_system: bool = False) -> int:
        """Tokens of the prompt that these messages make; exact or on the high side (see `smcs.protocols.LLM`).

        Args:
            messages: as `complete` is to be given them.
            keep_system: as `complete` is to be given it.
        """
        return await self.llm.count_tokens(
            one_system_message(messages) if keep_system else self._with_own_system(messages)
        )

    async def complete(
        self, request: Request, progress: Progress = _SILENT, *, keep_system: bool = False
    ) -> list[Result]:
        """Generate ``request.n`` samples.

        The LLM's own sampling settings go over the request's, and what is wanted of the answer over both; its
        own system prompt takes the place of the request's last system message, and several of these are joined into
        one. A seed counts on with the sample index, so that sample 3 of one request is sample 0 of a request that
        begins there. Where a prompt's length and `max_tokens` together exceed the known context, `max_tokens` is cut to
        what is left.

        Args:
            request: what to ask.
            progress: told of loading, and of tokens over all samples; tokens are 0 again whenever a try begins.
            keep_system: whether the request's system message stays although the LLM has its own; for prompts that
                hold more there than instructions.

        Returns:
            A completion or a failure for each sample, in order.

        Raises:
            UsageError: the LLM's settings cannot be used. Calls that fail are values, not exceptions.
        """
        results = await self._complete(request, progress, keep_system=keep_system)
        done = [result.seconds for result in results if isinstance(result, Completion)]
        if done:
            self.breaker.answered(max(done))
        else:
            failure = next(result for result in results if isinstance(result, Failure))
            self.breaker.failed(failure.kind, failure.message)
        return results

    async def _complete(self, request: Request, progress: Progress, *, keep_system: bool) -> list[Result]:
        self._check_open()
        refused = await self._not_ready(progress)
        refused = refused or unsupported(self._info, request.sampling.output)
        if refused is None and request.sampling.logprobs and self.llm.info.logprobs is False:
            refused = logprobs_unavailable(self._info)
        if refused is not None:
            return [failure_of(refused, self.name)] * request.n
        try:
            prepared = await self._prepared(request, keep_system=keep_system)
        except CallError as error:  # the backend could not even count the prompt
            return [failure_of(error, self.name)] * request.n
        results: list[Result] = []
        if request.n == 1 or (self._info.multiple_samples and not self._one_at_a_time):
            results = await self._call().run(prepared, progress)
        if len(results) < request.n:
            singles = await self._singly(prepared, len(results), progress)
            self._one_at_a_time |= any(isinstance(result, Completion) for result in singles)
            results += singles
        self._learn_logprobs(request, results)
        return results

    @property
    def usable(self) -> bool:
        """Whether a strategy that has the choice should ask it: not while it only fails (see `smcs.pool.health`).

        Where it has been left alone for long enough, a small call is begun that tries it.
        """
        if self.breaker.is_due and not self._closed and (self._trying is None or self._trying.done()):
            self._trying = asyncio.create_task(self._try())
        return not self.breaker.is_open

    async def _try(self) -> None:
        """Find out whether it answers again."""
        seconds = min(self.settings.timeout_s, _TRIAL_S)
        request = Request((Message("user", "Reply with the one word: ready"),), Sampling(max_tokens=8))
        try:
            async with asyncio.timeout(seconds):  # waiting for a place included: others may be stuck in all of them
                await self.once(request, timeout_s=seconds)
        except TimeoutError:
            self.breaker.tried(f"no answer to a small call within {seconds:g} s")
        except SmcsError as error:
            self.breaker.tried(str(error))
        else:
            self.breaker.tried(None)

    def worst(self, request: Request, *, keep_system: bool = False) -> Cost:
        """What one try of a request can cost at most; nothing is generated where `max_tokens` is not set.

        An LLM that does not give several samples in one request takes one for each. Dollars are 0 where the price is
        not known.

        Args:
            request: as `complete` is to be given it.
            keep_system: as `complete` is to be given it.
        """
        messages = one_system_message(request.messages) if keep_system else self._with_own_system(request.messages)
        together = self._info.multiple_samples and not self._one_at_a_time
        requests = 1 if together else request.n
        sampling = request.sampling.overridden_by(self._sampling).for_output()
        generated = (sampling.max_tokens or 0) * request.n
        template = 0 if any(m.role == "system" for m in messages) else _TOKENS_OF_A_TEMPLATE
        prompts = requests * (most_tokens(messages, sampling.output) + template)
        return Cost(price(self._info, prompts, generated) or 0.0, prompts + generated, requests)

    async def once(self, request: Request, *, timeout_s: float) -> Sequence[Completion]:
        """One try of a request as it stands, without overrides, retries or judgement; for checks.

        Raises:
            SmcsError: typed by what went wrong.
        """
        await self.start()
        settings = self.settings.model_copy(update={"timeout_s": timeout_s})
        return await self._call(settings).once(request, Progress())

    async def aclose(self) -> None:
        """Free what it holds. Calls that are under way fail, and are not tried again."""
        self._closed = True
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        await self.llm.aclose()

    def _call(self, settings: LLMSettings | None = None) -> Call:
        return Call(
            self.llm,
            settings or self.settings,
            self._info,
            places=self._places,
            rng=self._rng,
            sleep=self._sleep,
            is_open=lambda: not self._closed,
        )

    def _is_started(self) -> bool:
        return self._started

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"the LLM {self.name!r} has been closed")

    async def _not_ready(self, progress: Progress) -> SmcsError | None:
        """Make the LLM ready; why it cannot be, or None."""
        if self._started:
            return None
        progress.loading(True)
        try:
            await self.start()
        except UsageError:
            raise
        except SmcsError as error:
            return error
        finally:
            progress.loading(False)
        return None

    async def _prepared(self, request: Request, *, keep_system: bool) -> Request:
        """The request with this LLM's overrides, the seed of its first sample, and a `max_tokens` that fits."""
        messages = one_system_message(request.messages) if keep_system else self._with_own_system(request.messages)
        sampling = request.sampling
        if self._overrides_sampling:
            sampling = sampling.overridden_by(self._sampling)
        if sampling.output is not None:
            sampling = sampling.for_output()
        if sampling.seed is not None and request.sample_index:
            sampling = dataclasses.replace(sampling, seed=(sampling.seed + request.sample_index) % SEEDS)
        left = await self._tokens_left(messages, sampling.max_tokens)
        if left is not None:
            sampling = dataclasses.replace(sampling, max_tokens=left)
        if sampling is request.sampling and messages == request.messages:
            return request
        return dataclasses.replace(request, messages=messages, sampling=sampling)

    def _with_own_system(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        return one_system_message(messages, self.settings.system)

    async def _tokens_left(self, messages: tuple[Message, ...], max_tokens: int | None) -> int | None:
        """What the context leaves to generate, where that is less than `max_tokens` and more than nothing.

        A prompt that does not fit at all is left to the backend to refuse: it can count, we may only be estimating.
        """
        context = self._info.context_length
        if context is None or max_tokens is None:
            return None
        # No tokenizer makes more tokens of a text than it has bytes: most prompts need no counting.
        if sum(4 * len(m.content) + 16 for m in messages) + max_tokens <= context:
            return None
        left = context - await self.llm.count_tokens(messages)
        return left if 0 < left < max_tokens else None

    async def _singly(self, request: Request, first: int, progress: Progress) -> list[Result]:
        """The samples from `first` on, each as a request of its own, all at once."""
        counts = [0] * (request.n - first)

        def report(position: int) -> Callable[[int], None]:
            def tokens(count: int) -> None:
                counts[position] = count
                progress.tokens(sum(counts))

            return tokens

        async def one(position: int) -> Result:
            index = first + position
            if not progress.again(None):
                return Failure(self.name, "budget", "no request of its own was allowed for this sample", charged=False)
            sampling = request.sampling
            if sampling.seed is not None:
                sampling = dataclasses.replace(sampling, seed=(sampling.seed + index) % SEEDS)
            single = Request(request.messages, sampling, 1, request.sample_index + index)
            (result,) = await self._call().run(single, Progress(tokens=report(position), again=progress.again))
            return result

        return await all_of([one(position) for position in range(len(counts))])

    def _learn_logprobs(self, request: Request, results: Sequence[Result]) -> None:
        if self._info.logprobs is not None or not request.sampling.logprobs:
            return
        if any(isinstance(r, Completion) and r.token_logprobs is not None for r in results):
            self._info = dataclasses.replace(self._info, logprobs=True)
