"""Benchmarks from the public hub: official data sets at pinned revisions, turned into the rows of the local format.

Which questions make a split is written down in ``_splits/<benchmark>.txt``, a line each: split, id, and where the hub's
rows have no id of their own, a digest of the question's text; for multiple choice also the order of the options. So the
hub and a local folder give the same questions in the same order, and neither depends on the order of the hub's rows.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import ascii_uppercase
from typing import Any, TypeAlias

from smcs.errors import QuestionError

logger = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds until the hub counts as unreachable
_MISSING_SHARE = 0.02  # more missing questions than this, and the data set is not the one that is meant
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the hub, as a question that a split may want.

    Attributes:
        key: what the splits' file knows it by: the end of its id, or a digest of its text.
        question: the text; of a multiple-choice question without the options.
        options: the options in the hub's order.
        correct: index of the right option.
    """

    key: str
    question: str
    answer: str | None = None
    options: tuple[str, ...] | None = None
    correct: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HubTable:
    """A file of a data set on the hub.

    Attributes:
        revision: commit of the data set; never a branch.
        path: the file in the data set's repository: ``.parquet``, ``.jsonl`` or ``.csv``.
        convert: from a row and its number to a candidate; None where the row is no question of the benchmark.
        splits: the splits that it has questions of.
        columns: what to read of a parquet file; all where empty.
    """

    repo: str
    revision: str
    path: str
    convert: Callable[[Row, int], Candidate | None]
    splits: tuple[str, ...] = ("validation", "test")
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a splits' file."""

    split: str
    id: str
    key: str
    order: str = ""


def hub_rows(name: str, tables: Sequence[HubTable], split: str, cache_dir: Path | None) -> list[Row]:
    """The rows of one split in the local format, in the order of the splits' file.

    Raises:
        QuestionError: the hub cannot be reached, or its data set is not the one that the splits' file was made for.
    """
    wanted = {e.key: e for e in entries(name) if e.split == split}
    found: dict[str, Row] = {}
    for table in tables:
        if split not in table.splits or len(found) == len(wanted):
            continue
        for candidate in _candidates(table, fetch(table, cache_dir)):
            entry = wanted.get(candidate.key)
            if entry is not None and entry.id not in found:
                found[entry.id] = to_row(name, entry, candidate)
    missing = [e.id for e in wanted.values() if e.id not in found]
    if len(missing) > _MISSING_SHARE * len(wanted):
        repos = ", ".join(sorted({t.repo for t in tables if split in t.splits}))
        raise QuestionError(
            f"{len(missing)} of {len(wanted)} questions of {name} ({split}) are not in {repos} at the pinned revision, "
            f"such as {missing[0]}; read them from a local folder"
        )
    if missing:
        logger.warning("%s (%s): %d of %d questions are not on the hub", name, split, len(missing), len(wanted))
    return [found[e.id] for e in wanted.values() if e.id in found]


def to_row(name: str, entry: Entry, candidate: Candidate) -> Row:
    """The row of the local format that a candidate makes."""
    row: Row = {"id": entry.id, "benchmark": name, "split": entry.split, "question": candidate.question}
    row |= {"options": None, "answer": candidate.answer, "meta": dict(candidate.meta)}
    if candidate.options is not None:
        order = _order(candidate.options, entry.order, candidate.correct)
        options = [candidate.options[i] for i in order]
        row["options"] = options
        row["question"] = with_options(candidate.question, options)
        row["answer"] = None if candidate.correct is None else ascii_uppercase[order.index(candidate.correct)]
    return row


def with_options(question: str, options: Sequence[str]) -> str:
    """A multiple-choice question as put to the LLM."""
    lines = [f"{letter}. {option.strip()}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return question + "\n\n" + "\n".join(lines)


def entries(name: str) -> list[Entry]:
    """The lines of a benchmark's splits' file."""
    text = files(__package__).joinpath("_splits", f"{name}.txt").read_text(encoding="utf-8")
    return [_entry(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def _entry(fields: list[str]) -> Entry:
    split, name, *rest = fields
    digests = [f for f in rest if not f.startswith("order=")]
    orders = [f.removeprefix("order=") for f in rest if f.startswith("order=")]
    return Entry(split, name, digests[0] if digests else name.split("/", 1)[1], orders[0] if orders else "")


def plain(text: str) -> str:
    """A text without what copies of it differ in: case, spaces, punctuation, LaTeX layout."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"\\(?:left|right|displaystyle|[,;:!> ])", "", text)
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    return "".join(c for c in text if c.isalnum() or c in "+-=<>/^")


def digest(question: str, options: Sequence[str] = ()) -> str:
    """A short hash of a question's plain text, whatever the order of its options."""
    parts = [plain(question), *sorted(plain(option) for option in options)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def order_of(options: Sequence[str], correct: int | None) -> str:
    """The order of the options, as their places in alphabetical order: what a splits' file notes."""
    return "".join(str(place) for place in _places(options, correct))


def _places(options: Sequence[str], correct: int | None) -> list[int]:
    """For each option its place in alphabetical order; of two of the same text the right one comes first."""
    ranked = sorted(range(len(options)), key=lambda i: (plain(options[i]), options[i].strip(), i != correct))
    return [ranked.index(i) for i in range(len(options))]


def _order(options: Sequence[str], noted: str, correct: int | None) -> list[int]:
    """For each position, the index of the option to put there."""
    if not noted:
        return list(range(len(options)))
    places = _places(options, correct)
    return [places.index(int(place)) for place in noted]


def _candidates(table: HubTable, path: Path) -> Iterator[Candidate]:
    for number, row in enumerate(_table_rows(path, table.columns)):
        try:
            candidate = table.convert(row, number)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            message = f"row {number} of {table.path} in {table.repo} is not as expected: {type(error).__name__} {error}"
            raise QuestionError(message) from error
        if candidate is not None:
            yield candidate


def _table_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, and only these files need it

        for batch in pq.ParquetFile(path).iter_batches(columns=list(columns) or None):
            yield from batch.to_pylist()
    elif path.suffix == ".csv":
        csv.field_size_limit(min(sys.maxsize, 1 << 24))
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    else:
        with path.open("rb") as file:
            for line in file:
                yield json.loads(line)


def fetch(table: HubTable, cache_dir: Path | None) -> Path:
    """The table's file in the cache, downloaded if it is not there yet.

    Raises:
        QuestionError: it cannot be had.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache  # noqa: PLC0415 - slow to import
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError  # noqa: PLC0415

    cached = try_to_load_from_cache(
        table.repo, table.path, cache_dir=cache_dir, revision=table.revision, repo_type="dataset"
    )
    if isinstance(cached, str):
        return Path(cached)
    try:
        _reach_hub()
        path = hf_hub_download(
            table.repo, table.path, repo_type="dataset", revision=table.revision, cache_dir=cache_dir
        )
    except GatedRepoError as error:
        raise QuestionError(
            f"{table.repo} is given out on request only: accept its terms on the hub, then set HF_TOKEN"
        ) from error
    except (HfHubHTTPError, EntryNotFoundError, OSError) as error:
        raise QuestionError(
            f"cannot fetch {table.path} of data set {table.repo} from the hub ({type(error).__name__}); "
            "check the network, or give a local folder with the benchmarks' files"
        ) from error
    return Path(path)


def _reach_hub() -> None:
    """Ask the hub for anything, so that where there is none this is known at once: its client tries for half a minute.

    Raises:
        OSError: it does not answer.
    """
    import requests  # noqa: PLC0415
    from huggingface_hub import constants  # noqa: PLC0415

    requests.head(constants.ENDPOINT, timeout=_PATIENCE, allow_redirects=False)
