"""A pool without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from smcs.config import LLMSettings
from smcs.pool import PooledLLM
from smcs.protocols import LLM


@pytest.fixture
def waits() -> list[float]:
    """How long the pool would have waited."""
    return []


@pytest.fixture
def pooled(waits: list[float]) -> Callable[..., PooledLLM]:
    """Puts a backend into a pool that waits no time between tries."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    def make(backend: LLM, **settings: Any) -> PooledLLM:
        return PooledLLM(backend, LLMSettings(**{"name": "mine", "backend": "scripted", **settings}), sleep=sleep)

    return make
