"""The server's app: all routes over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from smcs.server import health, seeing
from smcs.server.guard import Guard, keys_of
from smcs.server.house import House
from smcs.server.openai import chat, embeddings, errors, models
from smcs.server.openai.documented import RESPONSES
from smcs.server.page import routes as page
from smcs.server.service import Service
from smcs.server.settings import ServerSettings
from smcs.server.traces import TraceStore


def create_app(house: House, settings: ServerSettings, traces: TraceStore | None = None) -> FastAPI:
    """The app, ready for an ASGI server. It closes the house and the traces when it stops.

    The service is ``app.state.service``.

    Raises:
        ConfigError: it would listen where others can reach it without a key.
    """
    keys = keys_of(settings)
    if traces is not None:
        traces.keep_out(keys)
    service = Service(house, settings, traces)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with seeing.following(service):
            yield
        await house.aclose()

    app = FastAPI(
        title="smcs",
        version=version("smcs"),
        description="A pool of LLMs behind one endpoint.",
        lifespan=lifespan,
        docs_url=None,  # the interactive documentation loads scripts from elsewhere
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.service = service
    app.add_middleware(Guard, settings=settings, keys=keys)
    errors.install(app)
    routers = (
        health.router(service),
        models.router(service),
        chat.router(service),
        embeddings.router(service),
        page.router(service),
    )
    for router in (*routers, *seeing.install(service)):
        app.include_router(router)
    return app
