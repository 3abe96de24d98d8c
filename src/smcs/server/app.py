"""The server's app: all routes over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from smcs.server import health
from smcs.server.house import House
from smcs.server.openai import chat, errors, models
from smcs.server.page import routes as page
from smcs.server.service import Service
from smcs.server.settings import ServerSettings


def create_app(house: House, settings: ServerSettings) -> FastAPI:
    """The app, ready for an ASGI server. It closes the house when it stops.

    The service is ``app.state.service``.
    """
    service = Service(house, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.aclose()
        await house.aclose()

    app = FastAPI(
        title="smcs",
        version=version("smcs"),
        description="A pool of LLMs behind one endpoint.",
        lifespan=lifespan,
        docs_url=None,  # the interactive documentation loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    errors.install(app)
    for router in (health.router(service), models.router(service), chat.router(service), page.router(service)):
        app.include_router(router)
    return app
