"""One request to one LLM, tried until it is answered or fails for good."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Sequence

from smcs.config import LLMSettings
from smcs.errors import BadRequestError, CallError, CallTimeoutError, MalformedResponseError, RateLimitError
from smcs.pool.outcomes import Rejection, Result, failure_of, finished, rejection
from smcs.pool.places import Places
from smcs.protocols import LLM, Progress
from smcs.transport.retry import RetryPolicy, Sleep, retrying
from smcs.types import Completion, LLMInfo, Request

SEEDS = 2**31
"""Seeds are below this, which every backend accepts."""
_NEXT_TRY = 1_000_003
"""Added to the seed after an unusable completion: with the same seed it would come again."""


class Call:
    """One request.

    Args:
        llm: the backend.
        settings: limits.
        info: what is known of the LLM.
        places: where to wait for a turn.
        rng: source of the jitter.
        sleep: how to wait between tries.
        is_open: whether it still makes sense to try again.
    """

    def __init__(
        self,
        llm: LLM,
        settings: LLMSettings,
        info: LLMInfo,
        *,
        places: Places,
        rng: random.Random,
        sleep: Sleep,
        is_open: Callable[[], bool],
    ) -> None:
        self._llm = llm
        self._settings = settings
        self._info = info
        self._places = places
        self._rng = rng
        self._sleep = sleep
        self._is_open = is_open
        self._begin: float | None = None
        self._waited = 0.0
        self._unusable = 0
        self.results: list[Result] = []
        self.one_at_a_time = False

    async def run(self, request: Request, progress: Progress) -> list[Result]:
        """Try until every sample is there or the call fails for good.

        Returns:
            One result a sample, in order; fewer only where the backend seems to give one sample a request
            (`one_at_a_time`): those that it gave.
        """
        policy = RetryPolicy(self._settings.max_retries, self._settings.max_backoff_s)

        async def attempt(number: int) -> None:
            await self._fill(self._missing(request), progress, number)

        def go_on(error: CallError) -> bool:
            return self._is_open() and progress.again(error)

        try:
            await retrying(attempt, policy, self._rng, name=self._info.name, sleep=self._sleep, go_on=go_on)
        except CallError as error:
            failure = failure_of(error, self._info.name, self.seconds)
            self.results += [failure] * (request.n - len(self.results))
        return self.results

    @property
    def seconds(self) -> float:
        """From the first try until now, without the time spent waiting for a place."""
        return time.perf_counter() - self._begin - self._waited if self._begin is not None else 0.0

    def _missing(self, request: Request) -> Request:
        """The request for the samples that are still missing."""
        have = len(self.results)
        if not have and not self._unusable:
            return request
        sampling = request.sampling
        if sampling.seed is not None:
            seed = (sampling.seed + have + self._unusable * _NEXT_TRY) % SEEDS
            sampling = dataclasses.replace(sampling, seed=seed)
        return Request(request.messages, sampling, request.n - have, request.sample_index + have)

    async def _fill(self, request: Request, progress: Progress, number: int) -> None:
        """One try: add what came, and raise where something is still missing and trying again may help."""
        try:
            completions = (await self.once(request, progress))[: request.n]
        except BadRequestError:
            if request.n == 1:
                raise
            self.one_at_a_time = True  # some endpoints refuse to give several; if that is not it, a single call tells
            return
        rejected: Rejection | None = None
        for completion in completions:
            done = finished(completion, self._info, self.seconds, number)
            verdict = rejection(done, self._info, logprobs=request.sampling.logprobs)
            if verdict is None:
                self.results.append(done)
            elif verdict.again:
                rejected = verdict
            else:
                verdict.error.attempts = number
                self.results.append(failure_of(verdict.error, self._info.name, self.seconds))
        if rejected is not None:
            self._unusable += 1
            raise rejected.error
        if len(completions) < request.n:
            if len(completions) == 1:
                self.one_at_a_time = True
                return
            given = f"{len(completions)} of {request.n} samples" if completions else "no completion"
            raise MalformedResponseError(f"{self._info.name} gave {given}")

    async def once(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """One try: wait for a place and call the backend, within the LLM's time limit.

        Raises:
            CallError: typed by what went wrong.
        """
        asked = time.perf_counter()
        async with self._places.one():
            now = time.perf_counter()
            if self._begin is None:
                self._begin = now
            else:
                self._waited += now - asked
            progress.tokens(0)
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    return await self._llm.complete(request, progress)
            except TimeoutError:
                limit = f"timeout_s = {self._settings.timeout_s:g}"
                raise CallTimeoutError(f"{self._info.name} did not answer within {limit} seconds") from None
            except RateLimitError as error:
                if error.retry_after:
                    self._places.pause(error.retry_after)
                raise
