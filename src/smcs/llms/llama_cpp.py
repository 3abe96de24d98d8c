"""LLMs that run in this process: GGUF files on llama.cpp, with nothing to set up and no server to start.

::

    [[llm]]
    name = "coder"
    backend = "llama-cpp"
    path = "models/coder.gguf"            # or [llm.weights], see `smcs.weights.WeightsFile`
    context_length = 8192
    parallel = 4

What is not set in `sampling` is llama.cpp's: temperature 0.8, top_k 40, top_p 0.95, and min_p 0.05; `sampling.extra`
takes whatever else its server knows, such as ``{min_p = 0.0, repeat_penalty = 1.1}``. Presence and frequency penalties
look at the last 64 tokens, the prompt's included (``repeat_last_n``).

A seed repeats an answer only where the same calls run together: in another batch llama.cpp rounds otherwise, which
can tip a token. ``parallel = 1`` with ``sampling.extra = {cache_prompt = false}`` repeats it always, and is slower.

Log-probabilities are the LLM's own, before temperature and truncation. llama.cpp reports none for a token that is but
a part of a character (as in emoji); such tokens are missing from `Completion.token_logprobs`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from smcs.config import LLMSettings, PositiveInt
from smcs.errors import ConfigError, ConnectionFailedError
from smcs.llms import _llama_gguf, _llama_http
from smcs.llms._chat import RESERVED, completions_of, request_body
from smcs.llms._chat_stream import StreamedBody
from smcs.llms._llama_engine import Engine, Spec
from smcs.llms._llama_host import Host, host
from smcs.llms._llama_prefix import tokens_of
from smcs.protocols import BuildContext, Progress
from smcs.types import Completion, LLMInfo, Message, Request
from smcs.weights import WeightsFile, fetch, machine

_DEFAULT_CONTEXT = 4096


class Settings(LLMSettings):
    """An LLM that runs in this process.

    Attributes:
        weights: the GGUF file, and where it can be had.
        path: the GGUF file where it is already on this machine; a relative path starts from the pool file's folder.
        context_length: tokens of one sequence, prompt and completion together; by default 4096, or what the LLM was
            trained for if that is less. Memory is taken for `parallel` times as many.
        parallel: sequences generated at once; what is asked beyond that waits.
        threads: computing threads; by default the physical cores that this process may use.
        chat_template: Jinja template in place of the file's own, which base LLMs do not have.
        memory_gib: most memory that all local LLMs of this process may take together, in GiB; the one that has been
            idle longest is unloaded to make room for another. By default 70% of the machine's (or container's).
        exclusive: whether to compute only while no other local LLM does. Turn it off where there are many more cores
            than `threads`.
    """

    weights: WeightsFile | None = None
    path: Path | None = None
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    threads: PositiveInt | None = None
    chat_template: Annotated[str, Field(min_length=1)] | None = None
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    exclusive: bool = True
    timeout_s: Annotated[float, Field(gt=0)] = 3600.0

    @model_validator(mode="after")
    def _one_file(self) -> Settings:
        if (self.weights is None) == (self.path is None):
            raise ValueError("give either `weights`, a file that can be fetched, or the `path` of a local one")
        taken = sorted(RESERVED & set(self.sampling.extra))
        if taken:
            raise ValueError(f"sampling.extra must not set {', '.join(taken)}")
        return self

    @property
    def file(self) -> WeightsFile:
        """The file, however it was given."""
        return self.weights or WeightsFile(path=self.path)


def create(settings: Settings, context: BuildContext) -> LlamaCpp:
    """Build the LLM; nothing is fetched or loaded yet."""
    return LlamaCpp(settings, context)


class LlamaCpp:
    """One LLM that runs in this process. See `smcs.protocols.LLM` for its methods."""

    def __init__(self, settings: Settings, context: BuildContext) -> None:
        self._settings = settings
        self._context = context
        self._budget = machine.memory_budget(settings.memory_gib)
        self._spec: Spec | None = None
        self._host: Host | None = None
        self._closed = False
        self._running: set[asyncio.Task[Any]] = set()
        self._info = LLMInfo(
            name=settings.name,
            backend="llama-cpp",
            model=settings.file.name,
            logprobs=True,
            multiple_samples=True,
            context_length=settings.context_length,
            price_prompt=settings.price_prompt or 0.0,  # the user's own machine
            price_completion=settings.price_completion or 0.0,
            features=("response_format", "logprobs"),
        )

    def __repr__(self) -> str:
        return f"LlamaCpp({self._settings.name!r}, {self._settings.file.name!r})"

    @property
    def info(self) -> LLMInfo:
        """What is known of it; its context length is certain once it is started."""
        return self._info

    async def start(self) -> None:
        """Fetch the weights if they are not there, and load them.

        Raises:
            WeightsError: they cannot be had, or are damaged.
            ConfigError: the settings do not fit the file, or the memory.
        """
        async with self._engine():
            pass

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """Generate samples. The prompt is computed once for all of them; cancelling stops the computation.

        Raises:
            CallError: typed by what went wrong.
            SmcsError: it had been unloaded and cannot be loaded again.
        """
        completions: list[Completion] = []
        async with self._engine(progress.loading) as engine:
            for first in range(0, request.n, engine.spec.parallel):
                n = min(engine.spec.parallel, request.n - first)
                done = sum(c.completion_tokens for c in completions)
                more = await self._generate(engine, _part(request, first, n), _shifted(progress.tokens, done))
                completions += more if not first else [dataclasses.replace(c, prompt_tokens=0) for c in more]
        return completions

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that these messages make: exact. Loads the LLM if it is not."""
        async with self._engine() as engine:
            return len(await tokens_of(engine, [{"role": m.role, "content": m.content} for m in messages]))

    async def aclose(self) -> None:
        """Stop what is running, and free the memory unless another LLM shares it."""
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._leave_host()

    async def _generate(self, engine: Engine, request: Request, report: Callable[[int], None]) -> list[Completion]:
        """Samples of one request to the server, at most as many as it has sequences."""
        body = request_body(self._info.model, request, max_tokens_field="max_tokens", omit=(), logprobs=True)
        if request.sampling.logprobs:
            body.setdefault("top_logprobs", 1)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        body["return_progress"] = True  # what is written meanwhile lets the server notice that a call was cancelled
        collected = _Collected(report)
        work = asyncio.ensure_future(self._stream(engine, body, request.n, collected))
        self._running.add(work)
        try:
            await work
        except asyncio.CancelledError:
            if work.cancelled() and self._closed:
                raise ConnectionFailedError(f"{self._info.name} was closed during the call") from None
            raise
        finally:
            self._running.discard(work)
        completions = completions_of(
            collected.body(), request, llm=self._info.name, where="llama.cpp", choice_error=lambda _: None
        )
        return [
            dataclasses.replace(c, completion_tokens=collected.generated.get(i, c.completion_tokens))
            for i, c in enumerate(completions)
        ]

    async def _stream(self, engine: Engine, body: dict[str, Any], slots: int, collected: _Collected) -> None:
        assert self._host is not None
        async with AsyncExitStack() as stack:
            prefixes = await stack.enter_async_context(self._host.compute(engine.spec, slots, self._settings.exclusive))
            starting = await stack.enter_async_context(AsyncExitStack())
            await starting.enter_async_context(prefixes.starting(engine, body["messages"]))
            chunks = _llama_http.stream(engine.socket, "/v1/chat/completions", body)
            async for chunk in await stack.enter_async_context(aclosing(chunks)):
                collected.add(chunk)
                if collected.started:
                    await starting.aclose()

    @asynccontextmanager
    async def _engine(self, on_loading: Callable[[bool], None] = lambda _: None) -> AsyncIterator[Engine]:
        """The loaded LLM."""
        if self._closed:
            raise ConnectionFailedError(f"{self._info.name} has been closed")
        here = host()
        if self._host is not None and self._host is not here:
            await self._leave_host()  # of an event loop that has ended
        if self._spec is None:
            spec = await self._find_spec()
            if self._closed:
                raise ConnectionFailedError(f"{self._info.name} has been closed")
            if self._spec is None:  # not meanwhile, by another call
                self._spec, self._host = spec, here
                here.register(spec)
        async with here.lease(self._spec, self._budget, on_loading) as engine:
            yield engine

    async def _leave_host(self) -> None:
        spec, self._spec = self._spec, None
        here, self._host = self._host, None
        if spec is not None and here is not None:
            await here.release(spec)

    async def _find_spec(self) -> Spec:
        settings = self._settings
        path = await fetch(settings.file, self._context.cache_dir, self._context.observe, self._context.base_dir)
        file = await asyncio.to_thread(_llama_gguf.read, path)
        context = settings.context_length or min(_DEFAULT_CONTEXT, file.trained_context or _DEFAULT_CONTEXT)
        problem = None
        if file.trained_context and context > file.trained_context:
            problem = f"it was trained for a context of {file.trained_context}; lower context_length from {context}"
        elif not file.chat_template and settings.chat_template is None:
            problem = "its file has no chat template; set chat_template"
        if problem:
            raise ConfigError(f"{settings.name} ({path.name}): {problem}")
        self._info = dataclasses.replace(self._info, context_length=context)
        threads = settings.threads or machine.physical_cores()
        return Spec(path, context, settings.parallel, threads, settings.chat_template)


class _Collected(StreamedBody):
    """A streamed answer, with the number of tokens of each choice.

    The server ends each choice with its finish reason, followed by a chunk with the usage of that choice alone.

    Attributes:
        generated: tokens of each choice that has ended, by its index.
        started: whether the prompt has been computed.
    """

    def __init__(self, tokens: Callable[[int], None]) -> None:
        super().__init__(tokens)
        self.generated: dict[int, int] = {}
        self.started = False
        self._ended = 0

    def add(self, chunk: dict[str, Any]) -> None:
        super().add(chunk)
        self.started |= self._tokens > 0
        for choice in chunk.get("choices") or []:
            if choice.get("finish_reason"):
                self._ended = int(choice.get("index", 0))
                self.started = True
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.generated[self._ended] = int(usage.get("completion_tokens", 0))


def _part(request: Request, first: int, n: int) -> Request:
    """Samples `first` to `first + n` of a request; sample i has the seed of sample 0 plus i, however they are split."""
    if n == request.n:
        return request
    sampling = request.sampling
    if sampling.seed is not None:
        sampling = dataclasses.replace(sampling, seed=sampling.seed + first)
    return dataclasses.replace(request, sampling=sampling, n=n, sample_index=request.sample_index + first)


def _shifted(report: Callable[[int], None], by: int) -> Callable[[int], None]:
    return lambda tokens: report(tokens + by)
