"""``smcs serve``: the pool behind an endpoint that speaks the OpenAI API."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smcs.cli import run_async

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


@click.command()
@click.option("--pool", type=click.Path(path_type=Path), help="Pool file (TOML). Default: the starter pool.")
@click.option("--bank", type=click.Path(path_type=Path), help="Question bank. Default: the starter bank.")
@click.option("--preset", help="'local' (default for the starter pool) or 'paper' (default for a pool of yours).")
@click.option("--strategy", default="smcs", show_default=True, help="What model 'smcs' is, such as moa:layers=2.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as k=2.")
@click.option(
    "--results",
    "results",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Results file of smcs eval for the page to show. May be repeated. Default: smcs-results.db, if it is there.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a key.")
@click.option("--port", default=8765, show_default=True, help="Port to listen on; 0 chooses a free one.")
@click.option(
    "--api-key-env",
    multiple=True,
    metavar="VARIABLE",
    help="Environment variable that holds API keys. May be repeated.",
)
@click.option("--allowed-host", multiple=True, metavar="NAME", help="Further name that the server goes by.")
@click.option("--per-minute", type=int, help="Most requests of one client in a minute. Default: 600 with keys.")
@click.option("--running", default=32, show_default=True, help="Most requests that are answered at once.")
@click.option("--waiting", default=64, show_default=True, help="Most that wait; more are refused (429).")
@click.option("--budget-calls", type=int, help="Most calls of one answer.")
@click.option("--budget-tokens", type=int, help="Most tokens of one answer, over all its calls.")
@click.option("--budget-usd", type=float, help="Most US dollars of one answer.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Deadline of one answer.")
@click.option("--grace", default=30.0, show_default=True, help="Seconds for running requests to end when stopped.")
@click.option("--access-log", is_flag=True, help="A line on standard error for each request: no texts, no keys.")
@click.option(
    "--traces",
    type=click.Choice(["off", "metadata", "full"]),
    default="metadata",
    show_default=True,
    help="What is kept of each request: nothing, names and numbers, or all texts too.",
)
@click.option("--traces-file", type=click.Path(path_type=Path), help="Where. Default: in the user's data folder.")
@click.option("--traces-keep", type=int, help="How many traces are kept; the oldest go first.  [default: 20000]")
@click.option("--traces-days", type=float, help="How long traces are kept.  [default: 90]")
def command(
    pool: Path | None,
    bank: Path | None,
    preset: str | None,
    strategy: str,
    overrides: tuple[str, ...],
    results: tuple[Path, ...],
    host: str,
    port: int,
    traces: str,
    traces_file: Path | None,
    access_log: bool,
    **limits: Any,
) -> None:
    """Serve the pool as an OpenAI-compatible endpoint until stopped.

    Any client of OpenAI's API can be pointed at the address that is printed; a browser at the same without /v1.
    """
    import logging
    import sys

    # The linear algebra here is small, and its threads would wait for each other in busy loops.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A thread that stores traces or embeds is not to hold up the event loop for long.
    sys.setswitchinterval(0.001)

    from smcs.config import validate
    from smcs.server.settings import ServerSettings

    beside = Path("smcs-results.db")
    shown_results = results or ((beside,) if beside.is_file() else ())
    values = {"host": host, "port": port, "results": shown_results, "traces": traces, "traces_file": traces_file}
    settings = validate(ServerSettings, {**values, **_names(limits)}, "smcs serve")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("smcs.server.living").setLevel(logging.INFO)  # changes of configuration are rare, and matter
    if access_log:
        logging.getLogger("smcs.server.access").setLevel(logging.INFO)

    async def run() -> None:
        from smcs.cli._settings import overridden
        from smcs.server.app import create_app
        from smcs.server.configuration import Sources
        from smcs.server.running import serve
        from smcs.server.seeing import open_house

        def started(bound: int) -> None:
            shown = f"[{host}]" if ":" in host else host
            click.echo(f"serving http://{shown}:{bound}/v1")

        sources = Sources(pool, bank, preset, overridden(overrides), strategy)
        house, store = await open_house(sources, settings)
        await serve(create_app(house, settings, store), settings, started)

    run_async(run(), _event_loop())


def _event_loop() -> Callable[[], AbstractEventLoop] | None:
    """What makes the event loop: uvloop's takes less CPU for the same calls; where there is none, Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _names(options: dict[str, Any]) -> dict[str, Any]:
    """Options by the names of `ServerSettings`; those that were not given are left out."""
    called = {
        "allowed_host": "allowed_hosts",
        "budget_calls": "calls",
        "budget_tokens": "tokens",
        "budget_usd": "usd",
        "deadline": "seconds",
        "grace": "grace_s",
    }
    return {called.get(name, name): value for name, value in options.items() if value is not None}
