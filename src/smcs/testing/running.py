"""The simulated endpoint beside what is tested: in a process of its own, or in a thread that can be looked into."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smcs.testing.endpoint import SimulatedEndpoint

_PATIENCE_S = 60


@contextmanager
def endpoint_process(*options: str, folder: Path | None = None) -> Iterator[str]:
    """Run ``python -m smcs.testing.endpoint`` on a free port; the value is its address, up to and with ``/v1``.

    Args:
        options: more options of the command.
        folder: where it runs; by default here.

    Raises:
        RuntimeError: it does not start.
    """
    command = [sys.executable, "-m", "smcs.testing.endpoint", "--port", "0", *options]
    with subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = next((word for word in line.split() if word.startswith("http")), None)
            if url is None:
                raise RuntimeError(f"the simulated endpoint does not start; it said {line!r}")
            yield url
        finally:
            process.terminate()


@contextmanager
def endpoint_thread(endpoint: SimulatedEndpoint) -> Iterator[SimulatedEndpoint]:
    """Serve an endpoint from a thread with an event loop of its own, while this one blocks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(endpoint.start(), loop).result(_PATIENCE_S)
        yield endpoint
    finally:
        asyncio.run_coroutine_threadsafe(endpoint.aclose(), loop).result(_PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
