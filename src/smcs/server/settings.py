"""Settings of the server: where it listens, whom it lets in, and how much it takes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from smcs.config import PositiveInt, Settings

Seconds = Annotated[float, Field(gt=0)]


class ServerSettings(Settings):
    """How the server serves. Nothing in it can be changed by a request.

    Attributes:
        host: address to listen on. Other than loopback needs a key.
        port: port to listen on; 0 chooses a free one.
        api_key_env: environment variables that hold the keys, separated by white space; any one lets a client in.
        least_key_length: shorter keys are taken for a mistake.
        allowed_hosts: names that the server goes by besides; on loopback, requests under any other are refused.
        per_minute: most requests of one client in a minute; by default 600 where keys are needed, else any number.
        running: most requests that are answered at once.
        waiting: most requests that wait for a place; any more are refused (HTTP 429).
        body_bytes: longest request body.
        grace_s: how long requests that are running may take to end when the server is told to stop.
        calls: most calls of one answer, where the request asks for no fewer. So for the next three.
        tokens: most tokens of one answer, prompt and completion, over all calls.
        usd: most US dollars of one answer.
        seconds: deadline of one answer.
        traces: what is kept of each request: nothing, how it went, or all texts.
        traces_file: where; by default in the user's data folder.
        traces_keep: how many traces are kept; the oldest go first.
        traces_days: how long.
        results: results files of ``smcs eval`` that the page shows.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    api_key_env: tuple[str, ...] = ()
    least_key_length: PositiveInt = 16
    allowed_hosts: tuple[str, ...] = ()
    per_minute: PositiveInt | None = None
    running: PositiveInt = 32
    waiting: Annotated[int, Field(ge=0)] = 64
    body_bytes: PositiveInt = 4 * 2**20
    grace_s: Seconds = 30.0
    calls: PositiveInt | None = None
    tokens: PositiveInt | None = None
    usd: Annotated[float, Field(ge=0)] | None = None
    seconds: Seconds | None = None
    traces: Literal["off", "metadata", "full"] = "metadata"
    traces_file: Path | None = None
    traces_keep: PositiveInt = 20_000
    traces_days: Annotated[float, Field(gt=0)] = 90.0
    results: tuple[Path, ...] = ()
