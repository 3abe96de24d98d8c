"""Running the app with uvicorn: says where it listens, finishes what is running when it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from smcs.errors import ConfigError
from smcs.server.patience import PatientProtocol
from smcs.server.service import Service
from smcs.server.settings import ServerSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_OBJECTS_BEFORE_COLLECTING = 20_000  # an answer makes thousands, nearly all of which go by themselves


class _Server(uvicorn.Server):
    """Stops on the first signal once running requests are done, on the second at once; neither is an error."""

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[int], None]) -> None:
        super().__init__(config)
        self._service = service
        self._tell = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What was made by now stays: no collection of garbage has to look at it again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_OBJECTS_BEFORE_COLLECTING, 20, 50)
            self._tell(self.servers[0].sockets[0].getsockname()[1])

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = self._service.stopping = True


async def serve(app: FastAPI, settings: ServerSettings, started: Callable[[int], None]) -> None:
    """Serve until a signal says to stop.

    Args:
        app: from `create_app`.
        settings: of the server.
        started: told the port once it listens.

    Raises:
        ConfigError: it cannot listen there.
    """
    try:
        sockets = [listening(settings.host, settings.port)]
    except OSError as error:
        raise ConfigError(f"cannot listen on {settings.host} port {settings.port}: {error}") from None
    await _Server(uvicorn_config(app, settings), app.state.service, started).serve(sockets)


def uvicorn_config(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn is to run the app."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        log_config=None,
        log_level="warning",
        access_log=False,  # the guard's is about requests, without their addresses' queries
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(settings.grace_s)),
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket bound to an address.

    Raises:
        OSError: it cannot be.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except BaseException:
        listening.close()
        raise
    return listening
