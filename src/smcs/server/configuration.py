"""From pool file and bank to a system, and from their next version to the next system, taking over what is the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from smcs import config
from smcs.bank import QuestionBank, load_bank
from smcs.bank.connect import Location, is_url
from smcs.config import EmbedderSettings, LLMSettings, PoolConfig
from smcs.errors import ConfigError
from smcs.pool import Pool, PooledLLM
from smcs.protocols import Embedder, Observer
from smcs.strategies import parse_specs
from smcs.system import System, build_embedder, build_pool, load_pool, starter_bank, starter_pool
from smcs.transport.credentials import credentials

Adopt: TypeAlias = Callable[[PooledLLM], PooledLLM]
"""What an LLM of the pool is put into before it is used, such as a cache of its calls."""
Mark: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a system comes from; the arguments of `System.open`.

    Attributes:
        pool: the pool file; None for the starter pool.
        bank: the question bank, a file or a database's URL; None for the starter bank.
        preset: of the method's settings.
        settings: overrides of the preset and of the pool file.
        strategy: how to answer by default.
    """

    pool: Path | None = None
    bank: Location | None = None
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "smcs"

    def mark(self) -> Mark:
        """Changes whenever the pool file or the bank's file does. Looks at the disk, and reads nothing.

        A bank on a database server has no file to look at: its changes are taken up when the server is told to.
        """
        bank = self.bank or starter_bank()
        files = [self.pool or starter_pool()]
        if not is_url(bank):
            files += [Path(bank), Path(f"{bank}-wal")]
        return tuple(_file_mark(file) for file in files)


@dataclass(frozen=True, eq=False)
class Assembled:
    """A system with what it was made of."""

    config: PoolConfig
    bank: QuestionBank
    llms: Mapping[str, PooledLLM]
    embedder: Embedder
    system: System

    @property
    def parts(self) -> list[PooledLLM | Embedder]:
        """What has to be closed in the end, unless a later system has taken it over."""
        return [self.embedder, *self.llms.values()]


async def assemble(
    sources: Sources,
    before: Assembled | None = None,
    observe: Observer = lambda _: None,
    adopt: Adopt = lambda llm: llm,
) -> Assembled:
    """Load the pool file and the bank, and build the system that they make.

    LLMs and an embedder whose settings have not changed are those of `before`: what they have loaded stays loaded,
    their connections stay open, and their limits hold over both systems together.

    Returns:
        `before` itself where nothing has changed.

    Raises:
        SmcsError: as `System.open` does; `before` is as it was.
    """
    pool = await asyncio.to_thread(load_pool, sources.pool)
    chosen = sources.preset or ("paper" if sources.pool else "local")
    config.method_settings(chosen, pool.smcs, source=f"{pool.path or 'pool'}: [smcs]")
    method = config.method_settings(chosen, pool.smcs, sources.settings)
    (spec,) = parse_specs([sources.strategy])
    bank = await asyncio.to_thread(_bank, sources.bank or starter_bank(), before.bank if before else None)
    if before and pool == before.config and bank is before.bank:
        return before
    async with contextlib.AsyncExitStack() as on_failure:
        embedder = before.embedder if before and pool.embedder == before.config.embedder else None
        if embedder is None:
            embedder = build_embedder(pool, observe)
            on_failure.push_async_callback(embedder.aclose)
        llms = {}
        known = {s.name: s for s in before.config.llm} if before and before.config.base_dir == pool.base_dir else {}
        for settings in pool.llm:
            if before and known.get(settings.name) == settings:
                llms[settings.name] = before.llms[settings.name]
            else:
                llms[settings.name] = _one_llm(pool, settings, observe, adopt)
                on_failure.push_async_callback(llms[settings.name].aclose)
        bank.require_embedder(await embedder.start())
        system = await asyncio.to_thread(System, Pool(list(llms.values())), bank, embedder, method, spec)
        on_failure.pop_all()
        return Assembled(pool, bank, llms, embedder, system)


def secrets_of(settings: Sequence[LLMSettings | EmbedderSettings]) -> tuple[str, ...]:
    """Keys in these settings, by name or in headers. A variable that is not set holds none."""
    found: set[str] = set()
    for one in settings:
        with contextlib.suppress(ConfigError):
            resolved = credentials(getattr(one, "api_key_env", None), getattr(one, "headers", {}), "")
            found.update(resolved.secrets)
    return tuple(found)


def _one_llm(pool: PoolConfig, settings: LLMSettings, observe: Observer, adopt: Adopt) -> PooledLLM:
    (llm,) = build_pool(pool.model_copy(update={"llm": (settings,)}), observe)
    return adopt(llm)


def _bank(location: Location, before: QuestionBank | None) -> QuestionBank:
    """The bank as it is now; the one of before where it is the same, whatever else has been written to its file."""
    now = load_bank(location)
    return before if before is not None and _same_bank(now, before) else now


def _same_bank(one: QuestionBank, other: QuestionBank) -> bool:
    return (
        (one.embedder, one.llms, one.models, one.questions)
        == (other.embedder, other.llms, other.models, other.questions)
        and np.array_equal(one.capability, other.capability)
        and np.array_equal(one.observed, other.observed)
        and np.array_equal(one.embeddings, other.embeddings)
    )


def _file_mark(path: Path) -> Mark:
    try:
        state = path.stat()
    except OSError:
        return ()
    return (state.st_mtime_ns, state.st_size, state.st_ino)
