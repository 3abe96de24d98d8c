"""The whole system from its settings: what the command line, the server and a program of yours use.

::

    import smcs

    answer = smcs.ask("Which planet has the most moons?")      # from any ordinary program

    async with await smcs.System.open(pool="pool.toml", bank="my.bank") as system:
        answer = await system.ask("Which planet has the most moons?", seed=1)
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from smcs import config, registry
from smcs.bank import QuestionBank, load_bank
from smcs.config import EmbedderSettings, LLMSettings, PoolConfig, SMCSSettings
from smcs.errors import ConfigError, DeadlineError, QuestionError
from smcs.pool import Pool
from smcs.prompts import with_query
from smcs.protocols import LLM, BuildContext, Embedder, Observer
from smcs.strategies import Parts, StrategySpec, build, parse_specs
from smcs.types import NO_LIMITS, Answer, Event, Limits, Message, Question
from smcs.weights import cache_dir

_VARIANTS_KEPT = 32
_LATE_S = 0.4
"""No answer is later than its deadline by more than this, whatever its strategy does."""


def starter_pool() -> Path:
    """The pool file that ships with the package: small LLMs that run in process on a CPU."""
    return Path(str(files("smcs") / "data" / "local.toml"))


def starter_bank() -> Path:
    """The question bank that ships with the package, with the starter pool's graded responses."""
    return Path(str(files("smcs") / "data" / "starter.bank"))


def load_pool(path: Path | str | None = None) -> PoolConfig:
    """Read and check a pool file; the starter pool where none is named.

    Raises:
        UsageError: what is wrong in it, and where.
    """
    return config.load_pool(Path(path) if path else starter_pool(), _llm_settings, _embedder_settings)


def build_pool(pool: PoolConfig, observe: Observer = lambda _: None) -> Pool:
    """The LLMs of a pool file, ready to be called. Loads and connects nothing yet."""

    def create(settings: LLMSettings, context: BuildContext) -> LLM:
        llm: LLM = registry.find("llms", settings.backend).create(settings, context)
        return llm

    return Pool.build(pool, _context(pool, observe), create)


def build_embedder(pool: PoolConfig | None = None, observe: Observer = lambda _: None) -> Embedder:
    """The pool file's embedder, or the default one that works offline. Loads and connects nothing yet."""
    settings = pool.embedder if pool and pool.embedder else _embedder_settings("minilm")(backend="minilm")
    embedder: Embedder = registry.find("embedders", settings.backend).create(settings, _context(pool, observe))
    return embedder


class System:
    """A pool, a question bank and an embedder, asked as if they were one LLM. Open it with `System.open`."""

    def __init__(
        self,
        pool: Pool,
        bank: QuestionBank,
        embedder: Embedder,
        settings: SMCSSettings,
        strategy: StrategySpec | None = None,
    ) -> None:
        self.pool = pool
        self.bank = bank
        self.embedder = embedder
        self.settings = settings
        self.strategy = strategy or StrategySpec("smcs")
        self._answering = build(self.strategy, Parts(pool, bank, embedder, settings))
        self._variants: OrderedDict[str, System] = OrderedDict()

    @classmethod
    async def open(
        cls,
        pool: PoolConfig | Path | str | None = None,
        bank: QuestionBank | Path | str | None = None,
        *,
        preset: str | None = None,
        settings: Mapping[str, Any] | None = None,
        strategy: StrategySpec | str = "smcs",
        observe: Observer = lambda _: None,
    ) -> Self:
        """Build the system and check that its parts fit together.

        Args:
            pool: a pool file or its content; the starter pool by default.
            bank: a question bank or its path; the starter bank by default.
            preset: ``paper`` or ``local``; by default ``local`` for the starter pool, else ``paper``.
            settings: overrides of the preset and of the pool file's ``[smcs]``, by the names of `SMCSSettings`.
            strategy: how to answer, such as ``majority`` or ``moa:layers=2`` (see `smcs.strategies`).
            observe: told of downloads.

        Raises:
            UsageError: a name, key or value is wrong.
            BankError: the bank cannot be read, or was made by another embedder.
            WeightsError: the embedder's weights cannot be had.
        """
        spec = strategy if isinstance(strategy, StrategySpec) else _one_strategy(strategy)
        pool_config = pool if isinstance(pool, PoolConfig) else load_pool(pool)
        chosen = preset or ("paper" if pool else "local")
        config.method_settings(chosen, pool_config.smcs, source=f"{pool_config.path or 'pool'}: [smcs]")
        method = config.method_settings(chosen, pool_config.smcs, settings or {})
        loaded = bank if isinstance(bank, QuestionBank) else await asyncio.to_thread(load_bank, bank or starter_bank())
        built = build_pool(pool_config, observe)
        embedder = build_embedder(pool_config, observe)
        try:
            loaded.require_embedder(await embedder.start())
            return cls(built, loaded, embedder, method, spec)
        except BaseException:
            await embedder.aclose()
            await built.aclose()
            raise

    async def ask(
        self,
        question: str | Question,
        *,
        seed: int = 0,
        system: str | None = None,
        history: Sequence[Message] = (),
        observe: Observer = lambda _: None,
        limits: Limits = NO_LIMITS,
    ) -> Answer:
        """Ask the pool one question.

        Args:
            question: the question, or its text.
            seed: source of all randomness; the same seed, pool and calls give the same answer.
            system: system prompt that goes with the question.
            history: earlier turns of the conversation.
            observe: told of each step as it happens (see `smcs.types.Event`).
            limits: what the answer may take; what they cut is in `Trace.cuts`.

        Raises:
            QuestionError: the question is empty, or longer than every LLM's context.
            NoAnswerError: every reference or every aggregation failed; holds the trace.
            DeadlineError: nothing was in when the time was over.
            BudgetError: the limits leave no room for a call.
        """
        asked = question if isinstance(question, Question) else Question(question.strip(), system=system)
        if not asked.text.strip():
            raise QuestionError("the question is empty")
        asked = with_query(asked, history)
        answering = self._answering.answer(asked, seed=seed, history=history, observe=observe, limits=limits)
        if limits.seconds is None:
            return await answering
        try:
            async with asyncio.timeout(limits.seconds + _LATE_S):  # a strategy keeps to it by itself, and has a trace
                return await answering
        except TimeoutError:
            raise DeadlineError(f"no answer was there in {limits.seconds:g} s") from None

    def variant(self, strategy: StrategySpec | str | None = None, settings: Mapping[str, Any] | None = None) -> System:
        """A system with another strategy or other settings of the method, over the same pool, bank and embedder.

        It is built once for the same arguments, and a number of them are kept. Close this system and not the variant,
        whose parts are this one's.

        Args:
            strategy: how to answer; by default as this system does.
            settings: overrides of this system's method settings, by the names of `SMCSSettings`; they also go over
                those of this system's own strategy.

        Raises:
            UsageError: as `open` does.
        """
        changes = config.plain_names(settings or {})
        spec = self._spec(strategy, changes)
        if not changes and spec == self.strategy:
            return self
        key = json.dumps([spec.name, spec.label, spec.settings, changes], sort_keys=True, default=str)
        if key in self._variants:
            self._variants.move_to_end(key)
            return self._variants[key]
        method = config.changed(self.settings, changes)
        self._variants[key] = System(self.pool, self.bank, self.embedder, method, spec)
        if len(self._variants) > _VARIANTS_KEPT:
            self._variants.popitem(last=False)
        return self._variants[key]

    def _spec(self, strategy: StrategySpec | str | None, changes: Mapping[str, Any]) -> StrategySpec:
        """The strategy of a variant: this system's own with the changes over what it sets itself, or another."""
        if strategy is not None:
            return strategy if isinstance(strategy, StrategySpec) else _one_strategy(strategy)
        own = config.plain_names(self.strategy.settings)
        over = {name: value for name, value in changes.items() if name in own}
        return StrategySpec(self.strategy.name, config.merge(own, over), self.strategy.label)

    async def aclose(self) -> None:
        """Free the LLMs and the embedder."""
        await self.embedder.aclose()
        await self.pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def ask(
    question: str | Question,
    *,
    pool: PoolConfig | Path | str | None = None,
    bank: QuestionBank | Path | str | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    strategy: StrategySpec | str = "smcs",
    seed: int = 0,
    system: str | None = None,
    observe: Observer = lambda _: None,
    limits: Limits = NO_LIMITS,
) -> Answer:
    """Ask a pool one question and wait for the answer; for programs that are not async.

    Opens the system and closes it again; to ask more than once, keep a `System` open. The arguments are those of
    `System.open` and `System.ask`.

    Raises:
        SmcsError: see there.
        ConfigError: called from a running event loop.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise ConfigError("smcs.ask cannot be called from a running event loop; use: await system.ask(...)")

    async def run() -> Answer:
        opening = System.open(pool, bank, preset=preset, settings=settings, strategy=strategy, observe=observe)
        async with await opening as opened:
            return await opened.ask(question, seed=seed, system=system, observe=observe, limits=limits)

    return asyncio.run(run())


def _one_strategy(text: str) -> StrategySpec:
    specs = parse_specs(text)
    if len(specs) > 1:
        raise ConfigError(f"one strategy answers a question, not {', '.join(spec.label for spec in specs)}")
    return specs[0]


def _llm_settings(backend: str) -> type[LLMSettings]:
    found: type[LLMSettings] = registry.find("llms", backend).Settings
    return found


def _embedder_settings(backend: str) -> type[EmbedderSettings]:
    found: type[EmbedderSettings] = registry.find("embedders", backend).Settings
    return found


def _context(pool: PoolConfig | None, observe: Observer) -> BuildContext:
    return BuildContext(cache_dir=cache_dir(), observe=observe, base_dir=pool.base_dir if pool else Path())


__all__ = ["Event", "System", "ask", "build_embedder", "build_pool", "load_pool", "starter_bank", "starter_pool"]
