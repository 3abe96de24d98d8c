"""Questions on their way into a bank: read, checked, embedded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from smcs.bank import create as making
from smcs.bank.questions_file import OnError
from smcs.bank.sources import Gathered, gather
from smcs.bank.store import BankStore
from smcs.cli._bank_progress import View, watching
from smcs.protocols import Embedder
from smcs.system import build_embedder, load_pool
from smcs.types import Question


def gathered(
    sources: Sequence[str],
    limit: int | None,
    split: str,
    data: Path | None,
    on_error: OnError,
    present: Sequence[Question] = (),
) -> Gathered:
    """Read and check the questions; say which lines were left out.

    Raises:
        UsageError: a source cannot be read, or a line cannot be used.
    """
    names = [name.strip() for source in sources for name in _split(source)]
    found = gather(
        [name for name in names if name],
        limit=limit,
        split=None if split == "all" else split,
        data=data,
        on_error=on_error,
        present=present,
    )
    for problem in found.skipped:
        click.echo(f"left out: {problem}", err=True)
    if found.other_splits:
        click.echo(f"{found.other_splits} questions of other splits left out (--split all takes them too)", err=True)
    return found


async def create_bank(path: str, questions: Gathered, pool: Path | None, *, overwrite: bool, quiet: bool) -> None:
    """Embed questions and make a bank of them."""
    with watching(quiet) as view:
        async with _embedder(pool, view) as embedder:
            await making.create_bank(path, questions.items, embedder, overwrite=overwrite, progress=view.embedded)


async def add_questions(store: BankStore, questions: Gathered, pool: Path | None, *, quiet: bool) -> None:
    """Embed questions and add them to a bank."""
    if not questions.items:
        return
    with watching(quiet) as view:
        async with _embedder(pool, view) as embedder:
            await making.add_questions(store, questions.items, embedder, progress=view.embedded)


@asynccontextmanager
async def _embedder(pool: Path | None, view: View) -> AsyncIterator[Embedder]:
    embedder = build_embedder(load_pool(pool) if pool else None, view.observe)
    try:
        yield embedder
    finally:
        await embedder.aclose()


def _split(source: str) -> list[str]:
    return [source] if Path(source).exists() else source.split(",")
