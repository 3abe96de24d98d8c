"""``smcs pool discover``: what an endpoint offers, printed or put into a pool file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from smcs.cli import run_async
from smcs.config import LLMSettings
from smcs.errors import ConfigError
from smcs.pool.discover import Discovered, Offer, discover
from smcs.pool.entries import chosen, embedder_comment, entries, without_known, write_whole
from smcs.system import load_pool

_PRODUCTS = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llama.cpp": "llama.cpp's server",
    "ollama": "Ollama",
    "openrouter": "OpenRouter",
    "openai": "OpenAI",
    "smcs": "smcs",
    "unknown": "an OpenAI-compatible server",
}
_MANY = 40
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the entries go.

    Attributes:
        file: to be written; None is standard output.
        append: whether the file may be there already, and is to keep what it has.
    """

    file: Path | None
    append: bool

    def existing(self) -> str:
        """What the file holds already.

        Raises:
            ConfigError: it may not be there, or cannot be read.
        """
        if self.append and self.file is None:
            raise ConfigError("--append adds to a file: name it with --out")
        if self.file is None or not self.file.exists():
            return ""
        if not self.append:
            raise ConfigError(f"{self.file} exists; --append adds to it what it does not have yet")
        try:
            return self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the pool file {self.file}: {error}") from None

    def llms(self, text: str) -> Sequence[LLMSettings]:
        """The LLMs that the file has already."""
        return load_pool(self.file).llm if text.strip() else ()


def write_entries(url: str, api_key_env: str | None, patterns: Sequence[str], destination: Destination) -> None:
    """Ask the endpoint, and write what it offers.

    Raises:
        ConfigError: there is nothing to write, or no place to write it.
        CallError: the endpoint does not answer.
    """
    text = destination.existing()
    have = destination.llms(text)
    found = run_async(discover(url, api_key_env))
    fitting = chosen(found.llms, patterns)
    _told(found, fitting, patterns)
    wanted = without_known(found, fitting, have)
    if have and not wanted:
        click.echo(f"{destination.file} has all of them already", err=True)
        return
    written = entries(found, wanted, [llm.name for llm in have])
    if destination.file is None:
        click.echo(_header(found) + written + _after(embedder_comment(found)), nl=False)
        return
    new = (text.rstrip("\n") + "\n\n" + written) if text.strip() else _header(found) + written
    write_whole(destination.file, new + _after(embedder_comment(found) if not text.strip() else ""), load_pool)
    click.echo(
        f"{'added' if text.strip() else 'wrote'} {_count(wanted, 'LLM')} {'to' if text.strip() else 'in'} "
        f"{destination.file}; next: smcs pool check --pool {destination.file}",
        err=True,
    )


def _told(found: Discovered, fitting: Sequence[Offer], patterns: Sequence[str]) -> None:
    """Say what was found.

    Raises:
        ConfigError: no LLM was, or none that fits the patterns.
    """
    others = [offer.id for offer in found.offers if offer.kind == "other"]
    if not found.llms:
        raise ConfigError(
            f"{found.base_url} offers no LLM that answers questions, only {_some([o.id for o in found.offers])}"
        )
    if not fitting:
        raise ConfigError(
            f"no LLM of {found.base_url} is like {' or '.join(patterns)}; it has {_some([o.id for o in found.llms])}"
        )
    parts = [f"{found.base_url} is {_PRODUCTS[found.product]}: {_count(found.llms, 'LLM')}"]
    parts += [f"{len(fitting)} of them chosen"] if len(fitting) < len(found.llms) else []
    parts += [_count(found.embedders, "embedder")] if found.embedders else []
    parts += [f"left out as not for questions: {_some(others)}"] if others else []
    click.echo("; ".join(parts), err=True)
    if len(fitting) > _MANY:
        click.echo(f"{len(fitting)} LLMs are many for one pool: --only 'PATTERN' chooses", err=True)


def _header(found: Discovered) -> str:
    key = f" The key is read from {found.api_key_env}." if found.api_key_env else ""
    return (
        f"# What {_PRODUCTS[found.product]} at {found.base_url} offers.{key}\n"
        "# Prices are US dollars per million tokens; without them the cost of an answer is unknown.\n\n"
    )


def _after(comment: str) -> str:
    return f"\n{comment}" if comment else ""


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
