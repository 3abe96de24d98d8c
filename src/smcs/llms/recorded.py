"""A recorded LLM: it answers a question with what a real LLM once answered to it, at no cost and at once.

::

    [[llm]]
    name = "gpt-4o"
    backend = "recorded"
    llm = "gpt-4o-2024-05-13"              # its name in the recording; by default the name above
    questions = "gsm_questions.jsonl.zst"  # or a list of files; relative paths start at the pool file
    responses = "gsm_responses.parquet"

``smcs bank export`` makes such files of any bank. The last user message says which question is asked: its text is one
of the recorded ones, or holds one. To any other question it fails, as it does to one that was never answered. What was
recorded is given whole, whatever the sampling settings, and every sample is the same. It has no log-probabilities. As
an aggregator it looks at no references.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from pydantic import field_validator

from smcs.config import LLMSettings
from smcs.errors import BadRequestError, ContextLengthError
from smcs.llms._recording import Recording, recording
from smcs.llms._tokens import estimate_prompt_tokens
from smcs.protocols import BuildContext, Progress
from smcs.types import Completion, LLMInfo, Message, Request

_SHOWN = 60


class Settings(LLMSettings):
    """A recorded LLM.

    Attributes:
        llm: its name in the recording; by default its name in the pool.
        questions: files of the questions (JSON Lines, plain or zstd): one, or a list.
        responses: files of the answers (Parquet): one, or a list.
    """

    llm: str | None = None
    questions: tuple[Path, ...]
    responses: tuple[Path, ...]

    @field_validator("questions", "responses", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return [value] if isinstance(value, str | Path) else value

    @field_validator("questions", "responses")
    @classmethod
    def _at_least_one(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not value:
            raise ValueError("name at least one file")
        return value


def create(settings: Settings, context: BuildContext) -> RecordedLLM:
    """Build the LLM."""
    files = [[context.base_dir / path for path in paths] for paths in (settings.questions, settings.responses)]
    return RecordedLLM(settings, recording(*files))


class RecordedLLM:
    """A recorded LLM. See `smcs.protocols.LLM` for its methods."""

    def __init__(self, settings: Settings, source: Recording) -> None:
        self._settings = settings
        self._source = source
        self._model = settings.llm or settings.name
        self._ready = False
        self._info = LLMInfo(
            name=settings.name,
            backend="recorded",
            model=self._model,
            logprobs=False,
            multiple_samples=False,
            context_length=settings.context_length,
            price_prompt=settings.price_prompt or 0.0,
            price_completion=settings.price_completion or 0.0,
        )

    @property
    def info(self) -> LLMInfo:
        """What is known of it."""
        return self._info

    async def start(self) -> None:
        """Read the recording.

        Raises:
            ConfigError: a file is missing or malformed, or holds nothing of this LLM.
        """
        if not self._ready:
            await asyncio.to_thread(self._source.load)
            self._source.require(self._model)
            self._ready = True

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """Give the recorded answer."""
        await self.start()
        await asyncio.sleep(0)
        prompt_tokens = estimate_prompt_tokens(request.messages)
        self._check_context(prompt_tokens)
        asked = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        places = self._source.places(asked)
        if not places:
            raise BadRequestError(f"nobody was recorded answering {_short(asked)}")
        answer = self._source.answer(self._model, places)
        if answer is None:
            raise BadRequestError(f"{self._model} was not recorded answering {_short(asked)}")
        progress.tokens(answer.tokens * request.n)
        return [
            Completion(
                llm=self._settings.name,
                text=answer.text,
                reasoning=answer.reasoning,
                finish_reason=answer.finish_reason,
                prompt_tokens=0 if i else prompt_tokens,
                completion_tokens=answer.tokens,
            )
            for i in range(request.n)
        ]

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt, estimated on the high side."""
        return estimate_prompt_tokens(messages)

    async def aclose(self) -> None:
        """Nothing to free: the recording goes with the last LLM of it."""

    def _check_context(self, prompt_tokens: int) -> None:
        context = self._settings.context_length
        if context is not None and prompt_tokens >= context:
            raise ContextLengthError(
                f"the prompt of {prompt_tokens} tokens does not fit the context of {context} tokens", status=400
            )


def _short(text: str) -> str:
    squeezed = " ".join(text.split())
    return repr(squeezed if len(squeezed) <= _SHOWN else squeezed[: _SHOWN - 3] + "...")
