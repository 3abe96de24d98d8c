"""Making a question bank, and adding questions to one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smcs.bank.connect import Location, is_url, new_file_engine, open_engine, shown, translated
from smcs.bank.store import BankStore, insert_questions, make_tables, open_bank
from smcs.errors import BankError, BankFormatError
from smcs.protocols import Embedder
from smcs.types import Question

Embedded = Callable[[int, int], None]
"""Told how many texts of how many have been embedded."""
_BATCH = 16


async def create_bank(
    location: Location,
    items: Sequence[tuple[Question, str]],
    embedder: Embedder,
    *,
    overwrite: bool = False,
    progress: Embedded = lambda *_: None,
) -> None:
    """Embed questions and make a bank of them. It appears when it is complete, or not at all.

    Args:
        location: path of the bank, or the URL of an empty database.
        items: questions with their splits; their order becomes the bank's.
        overwrite: put it in the place of a bank that is there.
        progress: told how the embedding goes on.

    Raises:
        BankError: there is one already, or it cannot be written.
        CallError: the embedder failed.
    """
    check_new(location, overwrite=overwrite)
    info = await embedder.start()
    vectors = await embed_questions(embedder, [q for q, _ in items], progress)

    def write() -> None:
        with _fresh(location, overwrite=overwrite) as target, translated(location):
            engine = open_engine(location, write=True) if is_url(location) else new_file_engine(target)
            try:
                with engine.begin() as connection:
                    make_tables(connection, info)
                    insert_questions(connection, items, vectors)
            finally:
                engine.dispose()

    await asyncio.to_thread(write)


async def add_questions(
    store: BankStore,
    items: Sequence[tuple[Question, str]],
    embedder: Embedder,
    progress: Embedded = lambda *_: None,
) -> None:
    """Embed questions and append them to a bank, all or none.

    Raises:
        EmbedderMismatchError: the bank was made by another embedder.
        BankError: an id is taken, or the bank cannot be written.
        CallError: the embedder failed.
    """
    store.require_embedder(await embedder.start())
    vectors = await embed_questions(embedder, [q for q, _ in items], progress)
    await asyncio.to_thread(store.add_questions, items, vectors)


async def embed_questions(
    embedder: Embedder, questions: Sequence[Question], progress: Embedded = lambda *_: None
) -> NDArray[np.float32]:
    """Embeddings of questions as the bank stores them: float32 of shape (n, dimension), rows of length 1."""
    dimension = (await embedder.start()).dimension
    parts: list[NDArray[np.float32]] = [np.zeros((0, dimension), np.float32)]
    progress(0, len(questions))
    for start in range(0, len(questions), _BATCH):
        texts = [q.text for q in questions[start : start + _BATCH]]
        vectors = np.asarray(await embedder.embed(texts, "document"), np.float32)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        if vectors.shape != (len(texts), dimension) or not np.isfinite(lengths).all() or (lengths == 0).any():
            raise BankError(
                f"the embedder gave an array of shape {vectors.shape} for {len(texts)} questions, or one that holds "
                f"rows without direction; {len(texts)} finite rows of {dimension} were expected"
            )
        parts.append(vectors / lengths)
        progress(start + len(texts), len(questions))
    return np.concatenate(parts)


def check_new(location: Location, *, overwrite: bool = False) -> None:
    """Check that a bank can be made here, before any work is done for it.

    Raises:
        BankError: something is there already, or the folder is not.
    """
    if is_url(location):
        _check_no_bank(location)
        return
    path = Path(location)
    if path.is_dir():
        raise BankError(f"{path} is a folder; give the bank a file name in it")
    if path.exists() and not overwrite:
        raise BankError(f"{path} is there already; smcs bank add adds questions to it, and --force replaces it")
    if not path.parent.is_dir():
        raise BankError(f"there is no folder {path.parent} to make the bank in")
    if not os.access(path.parent, os.W_OK):
        raise BankError(f"the folder {path.parent} cannot be written to")


def _check_no_bank(location: Location) -> None:
    with contextlib.suppress(BankFormatError):
        open_bank(location).close()
        raise BankError(f"there is a bank at {shown(location)} already; smcs bank add adds questions to it")


@contextlib.contextmanager
def _fresh(location: Location, *, overwrite: bool) -> Iterator[Path]:
    """A name to write to, beside the final one; given the final one when the block ends well."""
    path = Path(location)
    if is_url(location):
        yield path
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if overwrite:
            temporary.replace(path)
        else:
            _link_or_rename(temporary, path)
    except FileExistsError:
        raise BankError(f"{path} has been made by somebody else meanwhile") from None
    except OSError as error:
        raise BankError(f"cannot write the bank {path}: {error.strerror or error}") from None
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + "-journal")):
            leftover.unlink(missing_ok=True)


def _link_or_rename(temporary: Path, path: Path) -> None:
    """Give a file its name unless the name is taken."""
    try:
        # A link, unlike a renaming, never replaces what somebody else has put there meanwhile.
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without links
        if path.exists():
            raise FileExistsError(error.errno, "there already") from None
        temporary.rename(path)
