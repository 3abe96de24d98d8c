"""Reports from a results file alone, without the pool, the bank and the questions that it was made with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from smcs.evaluation.report import Report, make_report
from smcs.evaluation.run import Tested
from smcs.evaluation.store import ResultsError, open_results
from smcs.types import Question


@dataclass(frozen=True, slots=True)
class StoredSetup:
    """A strategy that has been evaluated, as the results file knows it.

    Attributes:
        digest: hash of all that decided its answers.
        label: what tables call it.
    """

    digest: str
    label: str


@dataclass(frozen=True, slots=True)
class StoredRun:
    """Strategies that were evaluated over the same pool, bank and embedder.

    Attributes:
        id: of the run, within its file.
        made: when the first of its strategies was first run, in seconds since 1970.
        pool: names of the LLMs that were called.
    """

    id: str
    made: float
    setups: tuple[StoredSetup, ...]
    pool: tuple[str, ...]


def stored_runs(path: Path) -> list[StoredRun]:
    """The runs of a results file, newest first. Blocks.

    Raises:
        ResultsError: it cannot be read.
    """
    groups: dict[str, list[tuple[str, str, dict[str, Any], float]]] = {}
    for digest, label, description, made in _rows(path, "SELECT digest, label, description, made FROM setups"):
        described = _parsed(description)
        shared = json.dumps([described.get(key) for key in ("version", "pool", "bank", "embedder")], sort_keys=True)
        groups.setdefault(shared, []).append((digest, label, described, made))
    pool = tuple(name for (name,) in _rows(path, "SELECT DISTINCT llm FROM calls ORDER BY llm"))
    runs = [_run(members, pool) for members in groups.values()]
    return sorted(runs, key=lambda run: -run.made)


async def stored_report(path: Path, run: StoredRun) -> Report:
    """Add up what a results file holds of a run: all questions that any of its strategies has answered.

    Takes seconds for many strategies (each pair is compared by a bootstrap); run it in a thread of its own.

    Raises:
        ResultsError: it cannot be read.
    """
    marks = ",".join("?" * len(run.setups))
    digests = [setup.digest for setup in run.setups]
    answered = f"SELECT DISTINCT question FROM answers WHERE setup IN ({marks})"  # noqa: S608  (only marks)
    questions = _rows(path, f"SELECT digest, benchmark, content FROM questions WHERE digest IN ({answered})", digests)  # noqa: S608
    ((last,),) = _rows(path, f"SELECT max(seed) FROM answers WHERE setup IN ({marks})", digests)  # noqa: S608
    tested = [Tested(_question(content, benchmark), digest) for digest, benchmark, content in questions]
    store = await asyncio.to_thread(open_results, path, write=False)
    async with store:
        return await make_report(store, run.setups, tested, 0 if last is None else last + 1, pool=run.pool)


def _run(members: Sequence[tuple[str, str, dict[str, Any], float]], pool: tuple[str, ...]) -> StoredRun:
    members = sorted(members, key=lambda member: member[3])
    labels = _labels([(label, described) for _, label, described, _ in members])
    setups = tuple(StoredSetup(digest, label) for (digest, *_), label in zip(members, labels, strict=True))
    return StoredRun(members[0][0], members[0][3], setups, pool)


def _labels(members: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Labels that tell setups apart: one that occurs twice is followed by the settings that differ."""
    labels: list[str] = []
    for label, described in members:
        alike = [_flat(other) for name, other in members if name == label]
        own = _flat(described)
        differing = sorted(
            {key for other in alike for key in own.keys() | other.keys() if own.get(key) != other.get(key)}
        )
        shown = ", ".join(f"{key.rpartition('.')[2]}={own.get(key)}" for key in differing[:4])
        labels.append(f"{label} ({shown})" if shown else label)
    return [label if labels.count(label) == 1 else f"{label} #{i}" for i, label in enumerate(labels, 1)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key in values:
        value = values[key]
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif prefix or key == "strategy":  # what a run shares does not tell its setups apart
            flat[f"{prefix}{key}"] = value
    return flat


def _question(content: str, benchmark: str) -> Question:
    stored = _parsed(content)
    return Question(str(stored.get("question", "")), id=str(stored.get("id", "")), benchmark=benchmark)


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _rows(path: Path, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    if not path.is_file():
        raise ResultsError(f"there is no results file {path}")
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            return list(connection.execute(query, list(values)))
    except sqlite3.Error as error:
        raise ResultsError(f"cannot read the results file {path}: {error}") from error
