"""LLMs behind an OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp's server, Ollama, OpenRouter, OpenAI and others.

::

    [[llm]]
    name = "qwen"
    backend = "openai"
    base_url = "http://127.0.0.1:8000/v1"
    model = "Qwen/Qwen3-32B"
    api_key_env = "VLLM_API_KEY"

What endpoints differ in, and what to set:

- vLLM, SGLang: nothing. vLLM's log-probabilities are untempered by default (``logprobs_mode``).
- llama.cpp's server sends twenty alternatives with each log-probability: ``sampling.extra = {top_logprobs = 1}``.
- Ollama gives one sample a request; that is noticed, and ``multiple_samples = false`` saves the noticing.
- OpenRouter: ``sampling.extra = {provider = {require_parameters = true}}`` for providers that give log-probabilities.
- OpenAI's reasoning LLMs: ``max_tokens_field = "max_completion_tokens"``, ``logprobs = false`` and
  ``omit = ["temperature", "presence_penalty"]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import model_validator

from smcs.config import LLMSettings
from smcs.errors import BadRequestError, CallError, ConnectionFailedError, LogprobsUnavailableError
from smcs.llms._chat import RESERVED, MaxTokensField, completions_of, request_body
from smcs.llms._chat_stream import StreamedBody
from smcs.llms._tokens import estimate_prompt_tokens
from smcs.protocols import BuildContext, Progress
from smcs.transport.address import EndpointSettings
from smcs.transport.credentials import credentials
from smcs.transport.failures import error_in_body
from smcs.transport.http import JsonClient
from smcs.types import Completion, LLMInfo, Message, Request

_PATH = "/chat/completions"


class Settings(EndpointSettings, LLMSettings):
    """An LLM behind an OpenAI-compatible endpoint.

    Attributes:
        logprobs: whether the endpoint gives token log-probabilities; false means it is not asked for them.
        multiple_samples: whether several samples of a prompt may be asked for in one request.
        stream: whether to receive tokens as they are generated, which shows progress but costs more to receive.
        max_tokens_field: what the endpoint calls the token limit.
        tools: whether the LLM can be given tools to call.
        response_format: whether it can be held to JSON.
        omit: sampling settings that the endpoint refuses and that are not to be sent, by their names there.
    """

    logprobs: bool = True
    multiple_samples: bool = True
    stream: bool = False
    max_tokens_field: MaxTokensField = "max_tokens"
    omit: tuple[str, ...] = ()
    tools: bool = True
    response_format: bool = True

    @model_validator(mode="after")
    def _extra_leaves_the_request_alone(self) -> Settings:
        taken = sorted(RESERVED & set(self.sampling.extra))
        if taken:
            raise ValueError(f"sampling.extra must not set {', '.join(taken)}")
        return self


def create(settings: Settings, context: BuildContext) -> OpenAILLM:
    """Build the LLM.

    Raises:
        ConfigError: the key, or a variable in a header, is not in the environment.
    """
    return OpenAILLM(settings)


class OpenAILLM:
    """One LLM behind one endpoint. See `smcs.protocols.LLM` for its methods."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = JsonClient(
            settings.base_url,
            credentials(settings.api_key_env, settings.headers, f"LLM {settings.name!r}"),
            max_connections=settings.max_concurrency,
            connect_timeout_s=settings.connect_timeout_s,
        )
        self._info = LLMInfo(
            name=settings.name,
            backend="openai",
            model=settings.model,
            logprobs=None if settings.logprobs else False,
            multiple_samples=settings.multiple_samples,
            context_length=settings.context_length,
            price_prompt=settings.price_prompt,
            price_completion=settings.price_completion,
            features=tuple(name for name in ("tools", "response_format", "logprobs") if getattr(settings, name)),
        )

    def __repr__(self) -> str:
        return f"OpenAILLM({self._settings.name!r}, {self._client.origin!r})"

    @property
    def info(self) -> LLMInfo:
        """What is known of it."""
        return self._info

    async def start(self) -> None:
        """Nothing: connections are opened by the first call."""

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """Generate samples; one HTTP request. A cancelled one is closed, which ends the generation on most servers."""
        body = request_body(
            self._settings.model,
            request,
            max_tokens_field=self._settings.max_tokens_field,
            omit=self._settings.omit,
            logprobs=self._settings.logprobs,
        )
        try:
            answer = await (self._streamed(body, progress) if self._settings.stream else self._client.post(_PATH, body))
        except BadRequestError as error:
            if "logprob" in str(error).lower() and body.get("logprobs"):
                raise LogprobsUnavailableError(f"{self._settings.name}: {error}", status=error.status) from None
            raise
        completions = completions_of(
            answer, request, llm=self._settings.name, where=self._client.origin, choice_error=self._choice_error
        )
        progress.tokens(sum(c.completion_tokens for c in completions))
        return completions

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """An estimate on the high side: these endpoints have no common way to ask."""
        return estimate_prompt_tokens(messages)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _streamed(self, body: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        collected = StreamedBody(progress.tokens)
        request = {**body, "stream": True, "stream_options": {"include_usage": True}}
        try:
            async with aclosing(self._client.stream(_PATH, request)) as chunks:
                async for chunk in chunks:
                    collected.add(chunk)
        except ConnectionFailedError:
            if not collected.ended():
                raise
        return collected.body()

    def _choice_error(self, choice: Mapping[str, Any]) -> CallError | None:
        return error_in_body(choice, where=self._client.origin, redact=self._client.redact)
