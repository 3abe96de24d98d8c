"""A simulated LLM, for tests, demonstrations and load: it answers at once, as well as it is told to, from a seed.

::

    [[llm]]
    name = "mathematician"
    backend = "simulated"
    skill = 0.5                        # right in half of the cases ...
    skills = { mathematics = 0.9 }     # ... and oftener where the question or its benchmark has this word
    answers = "questions.jsonl"        # the right answers, found by the question's text in the prompt
    latency_s = 0.5
    faults = { rate_limit = 0.1 }      # one call in ten is refused

With probability `skill` it gives the right answer, else a wrong one of the same kind; the last line of its response is
"The answer is ...". Where the system message holds responses that state answers so, it is aggregating: it picks among
the answers that it sees, the right one with probability `skill`. A question that `answers` does not have gets a made-up
number that all simulated LLMs hold to be right. It calls a tool where it has to or where the user's turn names one, and
writes JSON where that is wanted.

The same seed, name, messages and sampling seed (or sample index) give the same response; faults strike anew on every
attempt. At temperature 0 the sampling seed does not count.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from smcs.config import LLMSettings
from smcs.config import Settings as SettingsBase
from smcs.errors import (
    ConfigError,
    ConnectionFailedError,
    ContextLengthError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from smcs.llms._answer_key import AnswerKey, KnownAnswer, answers_of, read_answers, same_answer, stated_answers
from smcs.llms._simulated_output import json_text, tool_call
from smcs.llms._simulation import Written, count_prompt_tokens, seed_of, write
from smcs.protocols import BuildContext, Progress
from smcs.types import Completion, LLMInfo, Message, Output, Request

Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0)]

_REPORT_EVERY_S = 0.1
_MOST_REMEMBERED = 100_000


class Faults(SettingsBase):
    """How often a call fails, and how.

    Attributes:
        hang: it never answers.
        rate_limit: it is refused (HTTP 429), with `retry_after_s` as the time to wait.
        server_error: the endpoint fails (HTTP 500).
        connection: the connection breaks.
        malformed: what comes back is no completion.
        empty: nothing is generated.
        retry_after_s: seconds to wait after a refusal; absent means that it does not say.
    """

    hang: Rate = 0.0
    rate_limit: Rate = 0.0
    server_error: Rate = 0.0
    connection: Rate = 0.0
    malformed: Rate = 0.0
    empty: Rate = 0.0
    retry_after_s: Seconds | None = None

    @model_validator(mode="after")
    def _rates_are_shares(self) -> Faults:
        if sum(self.rates.values()) > 1:
            raise ValueError("the rates of all faults together must not exceed 1")
        return self

    @property
    def rates(self) -> dict[str, float]:
        """Each fault's share of the calls."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "retry_after_s"}


class Settings(LLMSettings):
    """A simulated LLM.

    Attributes:
        seed: of everything random about it.
        skill: probability that a response is right.
        skills: the same where a word stands in the question or in its benchmark's name; the first that does counts.
        answers: the right answers: a questions file (relative paths start at the pool file), or a table of questions
            and answers.
        latency_s: mean seconds to the first token.
        latency_sigma: spread of the latency: standard deviation of its logarithm; 0 makes all alike.
        tokens: tokens of a response before its last line, on average.
        tokens_per_second: how fast it generates; absent means at once.
        reasoning_tokens: tokens of a reasoning block before the answer.
        logprobs: whether it gives log-probabilities.
        multiple_samples: whether it gives several samples in one request.
        faults: how often calls fail.
    """

    seed: int = 0
    skill: Rate = 0.7
    skills: dict[str, Rate] = Field(default_factory=dict)
    answers: Path | dict[str, str] = Field(default_factory=dict)
    latency_s: Seconds = 0.0
    latency_sigma: Seconds = 0.0
    tokens: Annotated[int, Field(ge=0)] = 40
    tokens_per_second: Annotated[float, Field(gt=0)] | None = None
    reasoning_tokens: Annotated[int, Field(ge=0)] = 0
    logprobs: bool = True
    multiple_samples: bool = True
    faults: Faults = Faults()


def create(settings: Settings, context: BuildContext) -> SimulatedLLM:
    """Build the LLM.

    Raises:
        ConfigError: the file of answers is not there.
    """
    if isinstance(settings.answers, Path):
        path = context.base_dir / settings.answers
        if not path.is_file():
            raise ConfigError(f"LLM {settings.name!r}: there is no file of answers {path}")
        settings = settings.model_copy(update={"answers": path})
    return SimulatedLLM(settings)


class SimulatedLLM:
    """A simulated LLM. See `smcs.protocols.LLM` for its methods."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._key = AnswerKey(answers_of(settings.answers) if isinstance(settings.answers, dict) else [])
        self._read = isinstance(settings.answers, dict)
        self._rates = {name: rate for name, rate in settings.faults.rates.items() if rate}
        self._faulted: dict[int, int] = {}
        self._info = LLMInfo(
            name=settings.name,
            backend="simulated",
            model=f"simulated (skill {settings.skill:g})",
            logprobs=settings.logprobs,
            multiple_samples=settings.multiple_samples,
            context_length=settings.context_length,
            price_prompt=settings.price_prompt or 0.0,
            price_completion=settings.price_completion or 0.0,
            features=("tools", "response_format", *(("logprobs",) if settings.logprobs else ())),
        )

    @property
    def info(self) -> LLMInfo:
        """What is known of it."""
        return self._info

    async def start(self) -> None:
        """Read the answers.

        Raises:
            QuestionError: the file of answers cannot be used.
        """
        if not self._read and isinstance(self.settings.answers, Path):
            self._key = AnswerKey(await asyncio.to_thread(read_answers, self.settings.answers))
            self._read = True

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """Generate samples."""
        seeds = [self._sample_seed(request, i) for i in range(request.n)]
        prompt_tokens = count_prompt_tokens(request.messages)
        self._check_context(prompt_tokens)
        fault = self._fault(seeds[0])
        rng = random.Random(seeds[0] ^ 1)
        await self._wait_for_first_token(rng)
        await self._fail(fault)
        written = [self._write(request, seed) for seed in seeds]
        await self._generate(written, progress)
        if fault == "empty":
            return [Completion(self.settings.name, "", prompt_tokens=prompt_tokens)]
        output = request.sampling.output
        with_tokens = output is not None and output.top_logprobs is not None
        return [
            self._completion(sample, 0 if i else prompt_tokens, with_tokens=with_tokens)
            for i, sample in enumerate(written)
        ]

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt: exact."""
        return count_prompt_tokens(messages)

    async def aclose(self) -> None:
        """Nothing to free."""

    def _sample_seed(self, request: Request, sample: int) -> int:
        sampling = request.sampling
        which: object = sampling.seed + sample if sampling.seed is not None else f"#{request.sample_index + sample}"
        if sampling.temperature == 0:
            which = "greedy"
        turns = [part for m in request.messages for part in (m.role, m.content)]
        return seed_of(self.settings.seed, self.settings.name, which, *turns)

    def _check_context(self, prompt_tokens: int) -> None:
        context = self.settings.context_length
        if context is not None and prompt_tokens >= context:
            raise ContextLengthError(
                f"the prompt of {prompt_tokens} tokens does not fit the context of {context} tokens", status=400
            )

    def _fault(self, seed: int) -> str | None:
        """Which fault strikes this attempt."""
        if not self._rates:
            return None
        before = self._faulted.get(seed, 0)
        drawn = random.Random(seed_of(seed, before)).random()
        for name, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                if len(self._faulted) >= _MOST_REMEMBERED:
                    self._faulted.clear()
                self._faulted[seed] = before + 1
                return name
        return None

    async def _fail(self, fault: str | None) -> None:
        match fault:
            case "hang":
                await asyncio.Event().wait()
            case "rate_limit":
                wait = self.settings.faults.retry_after_s
                raise RateLimitError("the simulated LLM refuses the call for now", status=429, retry_after=wait)
            case "server_error":
                raise ServerError("the simulated LLM fails", status=500)
            case "connection":
                raise ConnectionFailedError("the connection to the simulated LLM broke")
            case "malformed":
                raise MalformedResponseError("the simulated LLM sends what is no completion")
            case _:
                return

    async def _wait_for_first_token(self, rng: random.Random) -> None:
        sigma = self.settings.latency_sigma
        seconds = self.settings.latency_s * math.exp(rng.gauss(0, sigma) - sigma * sigma / 2)
        await asyncio.sleep(seconds)

    async def _generate(self, written: Sequence[Written], progress: Progress) -> None:
        """Take the time that generating takes, and report tokens. Samples are generated side by side."""
        total = sum(sample.tokens for sample in written)
        if self.settings.tokens_per_second:
            longest = max(sample.tokens for sample in written)
            seconds = longest / self.settings.tokens_per_second
            steps = max(1, round(seconds / _REPORT_EVERY_S))
            for step in range(1, steps):
                await asyncio.sleep(seconds / steps)
                progress.tokens(total * step // steps)
            await asyncio.sleep(seconds / steps)
        progress.tokens(total)

    def _completion(self, sample: Written, prompt_tokens: int, *, with_tokens: bool) -> Completion:
        tokens = zip(sample.reasoning + sample.answer, sample.logprobs or (), strict=True) if with_tokens else None
        finish_reason = "length" if sample.cut else "tool_calls" if sample.call else "stop"
        return Completion(
            llm=self.settings.name,
            text="" if sample.call else "".join(sample.answer),
            reasoning="".join(sample.reasoning) or None,
            finish_reason=finish_reason,
            token_logprobs=sample.logprobs,
            prompt_tokens=prompt_tokens,
            completion_tokens=sample.tokens,
            tokens=tuple({"token": t, "logprob": p, "top_logprobs": []} for t, p in tokens) if tokens else None,
            tool_calls=(sample.call,) if sample.call else (),
        )

    def _write(self, request: Request, seed: int) -> Written:
        rng = random.Random(seed)
        known = self._key.find(next((m.content for m in reversed(request.messages) if m.role == "user"), ""))
        answer = self._answer(known, request.messages, rng)
        output = request.sampling.output or Output()
        return write(
            known.question,
            answer,
            right=same_answer(answer, known.text),
            length=self.settings.tokens,
            reasoning_length=self.settings.reasoning_tokens,
            limit=request.sampling.max_tokens,
            logprobs=request.sampling.logprobs and self.settings.logprobs,
            rng=rng,
            exactly=json_text(output.response_format, answer) if output.response_format else None,
            call=tool_call(output, request.messages, answer, rng) if output.tools else None,
        )

    def _answer(self, known: KnownAnswer, messages: Sequence[Message], rng: random.Random) -> str:
        knows = rng.random() < self._skill(known)
        seen = [answer for m in messages if m.role == "system" for answer in stated_answers(m.content)]
        if not seen:
            return known.text if knows else self._key.wrong(known, rng)
        same = {answer: same_answer(answer, known.text) for answer in seen}
        right = [answer for answer in seen if same[answer]]
        wrong = [answer for answer in seen if not same[answer]]
        return rng.choice((right or wrong) if knows else (wrong or right))

    def _skill(self, known: KnownAnswer) -> float:
        for word, skill in self.settings.skills.items():
            if word.lower() in known.topic:
                return skill
        return self.settings.skill
