"""``smcs serve``: the pool behind an endpoint that speaks the OpenAI API."""

from __future__ import annotations

from pathlib import Path

import click

from smcs.cli import run_async


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
    "--traces",
    type=click.Choice(["off", "metadata", "full"]),
    default="metadata",
    show_default=True,
    help="What is kept of each request: nothing, names and numbers, or all texts too.",
)
@click.option("--traces-file", type=click.Path(path_type=Path), help="Where. Default: in the user's data folder.")
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
) -> None:
    """Serve the pool as an OpenAI-compatible endpoint until stopped."""
    from smcs.config import validate
    from smcs.server.settings import ServerSettings

    beside = Path("smcs-results.db")
    shown_results = results or ((beside,) if beside.is_file() else ())
    values = {"host": host, "port": port, "results": shown_results, "traces": traces, "traces_file": traces_file}
    settings = validate(ServerSettings, values, "smcs serve")

    async def run() -> None:
        from smcs.cli._settings import overridden
        from smcs.server.app import create_app
        from smcs.server.configuration import Sources
        from smcs.server.living import LivingHouse
        from smcs.server.running import serve
        from smcs.server.traces import open_traces

        def started(bound: int) -> None:
            shown = f"[{host}]" if ":" in host else host
            click.echo(f"serving http://{shown}:{bound}/v1")

        store = await open_traces(settings.traces_file, settings.traces)
        house = await LivingHouse.open(Sources(pool, bank, preset, overridden(overrides), strategy))
        await serve(create_app(house, settings, store), settings, started)

    run_async(run())
