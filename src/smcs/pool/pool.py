"""All LLMs of a pool file."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from smcs.config import LLMSettings, PoolConfig
from smcs.errors import ConfigError, UnknownNameError
from smcs.pool.calling import PooledLLM
from smcs.pool.check import LLMCheck, check_llm
from smcs.pool.health import Health
from smcs.protocols import LLM, BuildContext
from smcs.registry import did_you_mean


class Pool:
    """LLMs by name, in the pool file's order. An async context manager that closes them.

    Args:
        llms: with different names.

    Raises:
        ConfigError: two have the same name, or there is none.
    """

    def __init__(self, llms: Sequence[PooledLLM]) -> None:
        self._llms = {llm.name: llm for llm in llms}
        if not llms:
            raise ConfigError("a pool needs at least one LLM")
        if len(self._llms) < len(llms):
            raise ConfigError("the names of a pool's LLMs must be different")

    @classmethod
    def build(
        cls, config: PoolConfig, context: BuildContext, create: Callable[[LLMSettings, BuildContext], LLM]
    ) -> Self:
        """The LLMs of a pool file, ready to be called. Loads and connects nothing yet.

        Args:
            config: the pool file.
            context: what the backends may use.
            create: builds one LLM from its settings.

        Raises:
            UsageError: a setting cannot be used, such as a key that the environment does not have.
        """
        return cls([PooledLLM(create(s, context), s, random.Random(s.name)) for s in config.llm])

    @property
    def names(self) -> list[str]:
        """Names of the LLMs, in order."""
        return list(self._llms)

    @property
    def health(self) -> dict[str, Health]:
        """Which LLMs are well, and which are left alone because they only fail."""
        return {name: llm.breaker.health for name, llm in self._llms.items()}

    def __getitem__(self, name: str) -> PooledLLM:
        """The LLM with this name.

        Raises:
            UnknownNameError: there is none; says which there are.
        """
        try:
            return self._llms[name]
        except KeyError:
            raise UnknownNameError(f"the pool has no LLM {name!r}{did_you_mean(name, self.names)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._llms

    def __iter__(self) -> Iterator[PooledLLM]:
        return iter(self._llms.values())

    def __len__(self) -> int:
        return len(self._llms)

    async def check(self, name: str, *, timeout_s: float = 60.0) -> LLMCheck:
        """Make a small real call to one LLM and say what it gives (see `check_llm`).

        Raises:
            UnknownNameError: the pool has no such LLM.
        """
        return await check_llm(self[name], timeout_s=timeout_s)

    async def aclose(self) -> None:
        """Free all LLMs, also where one of them fails to; the first failure is raised then."""
        outcomes = await asyncio.gather(*(llm.aclose() for llm in self), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
