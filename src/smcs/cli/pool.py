"""``smcs pool``: what a pool file says, whether its LLMs answer, and what an endpoint offers for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smcs.cli import run_async

if TYPE_CHECKING:
    from smcs.pool import LLMCheck

_POOL = click.option("--pool", type=click.Path(path_type=Path), help="Pool file (TOML). Default: the starter pool.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Look at a pool of LLMs."""


@command.command()
@_POOL
@_JSON
def show(pool: Path | None, as_json: bool) -> None:
    """List the LLMs of a pool. Calls none."""
    import json

    from smcs.cli._tables import print_table
    from smcs.system import build_pool, load_pool

    infos = [llm.info for llm in build_pool(load_pool(pool))]
    if as_json:
        click.echo(json.dumps([{name: getattr(i, name) for name in i.__slots__} for i in infos], indent=2))
        return
    print_table(
        ["LLM", "backend", "model", "context", "log-probabilities", "USD per million tokens (prompt, generated)"],
        [[i.name, i.backend, i.model, _or_unknown(i.context_length), _yes_no(i.logprobs), _price(i)] for i in infos],
    )


@command.command()
@_POOL
@_JSON
def check(pool: Path | None, as_json: bool) -> int:
    """Call every LLM of a pool once, with a few tokens. Fails if one does not answer."""
    import json
    from dataclasses import asdict

    from smcs.cli._tables import print_table

    checks = run_async(_check(pool))
    if as_json:
        click.echo(json.dumps([asdict(c) for c in checks], indent=2))
    else:
        print_table(
            ["LLM", "answers", "seconds", "log-probabilities", ""],
            [[c.name, "yes" if c.ok else "NO", f"{c.seconds:.1f}", _yes_no(c.logprobs), c.message] for c in checks],
        )
    return 0 if all(c.ok for c in checks) else 1


@command.command()
@click.argument("url")
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the endpoint's key.")
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Only models like this, such as 'qwen/*'. May be repeated."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write. Default: standard output.")
@click.option("--append", is_flag=True, help="Add to the file what it does not have yet.")
def discover(url: str, api_key_env: str | None, only: tuple[str, ...], out: Path | None, append: bool) -> None:
    """Write the pool entries for what the endpoint at URL offers.

    URL is the address of an OpenAI-compatible server, such as http://127.0.0.1:11434, with or
    without /v1. vLLM, SGLang, llama.cpp's server, Ollama, OpenRouter and OpenAI are known by their
    answers, and what else they tell is used. Embedders are written as comments.
    """
    from smcs.cli._discover import Destination, write_entries

    write_entries(url, api_key_env, only, Destination(out, append))


async def _check(path: Path | None) -> list[LLMCheck]:
    import asyncio

    from smcs.cli._progress import watching
    from smcs.system import build_pool, load_pool

    with watching(quiet=False) as observe:
        async with build_pool(load_pool(path), observe) as pool:
            return list(await asyncio.gather(*(pool.check(name) for name in pool.names)))


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)


def _yes_no(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"


def _price(info: Any) -> str:
    if info.price_prompt is None and info.price_completion is None:
        return "unknown"
    return f"{_or_unknown(info.price_prompt)}, {_or_unknown(info.price_completion)}"
