"""What lets people see what the server does, and keeps its configuration alive, put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter

from smcs.protocols import Observer
from smcs.server import feedback
from smcs.server.call_cache import open_call_cache
from smcs.server.configuration import Sources
from smcs.server.living import LivingHouse
from smcs.server.metrics import Metrics
from smcs.server.metrics import router as metrics_router
from smcs.server.recorder import Recorder
from smcs.server.service import Service
from smcs.server.settings import ServerSettings
from smcs.server.spans import Spans
from smcs.server.traces import Bounds, TraceStore, open_traces


def install(service: Service) -> list[APIRouter]:
    """Have every request of the service recorded; the routes that show it."""
    metrics = Metrics(service)
    service.house.on_change.append(metrics.reloaded)
    service.watchers.append(Recorder(service.house, service.traces, (metrics, Spans()), metrics.lost))
    return [metrics_router(metrics), feedback.router(service)]


@contextlib.asynccontextmanager
async def following(service: Service) -> AsyncIterator[None]:
    """While this lasts, the service's house follows its pool file and bank. Then all that waits is written."""
    _keep_secrets_out(service)
    service.house.on_change.append(lambda _: _keep_secrets_out(service))
    watch = asyncio.create_task(service.house.watch(), name="watch of the configuration")
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await service.aclose()
        if service.traces is not None:
            await service.traces.aclose()


def _keep_secrets_out(service: Service) -> None:
    """Of traces and of kept calls."""
    secrets = service.house.secrets
    service.house.keep_out(secrets)
    if service.traces is not None:
        service.traces.keep_out(secrets)


async def open_house(
    sources: Sources, settings: ServerSettings, observe: Observer = lambda _: None
) -> tuple[LivingHouse, TraceStore | None]:
    """The house and the store of traces of a server; `smcs.server.app.create_app` takes both.

    Where traces hold texts, the calls that led to them are kept beside them for replays.

    Raises:
        SmcsError: the pool, the bank or the traces cannot be opened.
    """
    bounds = Bounds(count=settings.traces_keep, days=settings.traces_days)
    traces = await open_traces(settings.traces_file, settings.traces, bounds=bounds)
    cache = None
    try:
        if traces is not None and traces.level == "full":
            cache = await open_call_cache(traces.path)
        return await LivingHouse.open(sources, observe=observe, cache=cache), traces
    except BaseException:
        if cache is not None:
            await cache.aclose()
        if traces is not None:
            await traces.aclose()
        raise
