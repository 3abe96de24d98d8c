"""What lets people see what the server does, and keeps its configuration alive, put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter

from smcs.server import feedback
from smcs.server.metrics import Metrics
from smcs.server.metrics import router as metrics_router
from smcs.server.recorder import Recorder
from smcs.server.service import Service
from smcs.server.spans import Spans


def install(service: Service) -> list[APIRouter]:
    """Have every request of the service recorded; the routes that show it."""
    metrics = Metrics(service)
    service.house.on_change.append(metrics.reloaded)
    service.watchers.append(Recorder(service.house, service.traces, (metrics, Spans()), metrics.lost))
    return [metrics_router(metrics), feedback.router(service)]


@contextlib.asynccontextmanager
async def following(service: Service) -> AsyncIterator[None]:
    """While this lasts, the service's house follows its pool file and bank. Then all that waits is written."""
    keep_out = service.traces.keep_out if service.traces else lambda _: None
    keep_out(service.house.secrets)
    service.house.on_change.append(lambda _: keep_out(service.house.secrets))
    watch = asyncio.create_task(service.house.watch(), name="watch of the configuration")
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await service.aclose()
        if service.traces is not None:
            await service.traces.aclose()
