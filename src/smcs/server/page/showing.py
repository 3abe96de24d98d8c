"""What the page shows, as JSON: the configuration, the bank, and a trace beside what the bank knows of its support."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs import registry
from smcs.bank import QuestionBank
from smcs.bank.connect import Location
from smcs.bank.store import open_bank
from smcs.bank.tables import Cell, summary
from smcs.errors import BankError
from smcs.pool import Pool
from smcs.server.settings import ServerSettings
from smcs.system import System

_LONGEST_TEXT = 20_000


def configuration(system: System, settings: ServerSettings) -> dict[str, Any]:
    """What the page has to know to ask."""
    infos = [llm.info for llm in system.pool]
    limits = {name: getattr(settings, name) for name in ("calls", "tokens", "usd", "seconds")}
    return {
        "version": version("smcs"),
        "strategy": system.strategy.label,
        "strategies": [{"name": name} for name in registry.names("strategies")],
        "settings": system.settings.model_dump(mode="json"),
        "limits": limits,
        "llms": [{"name": info.name, "backend": info.backend, "model": info.model} for info in infos],
        "bank": {"questions": len(system.bank), "llms": list(system.bank.llms)},
        "traces": settings.traces,
    }


def bank(held: QuestionBank, pool: Pool, location: Location | None = None) -> dict[str, Any]:
    """Capability by LLM and benchmark, what is observed of it, and where the questions come from. Blocks.

    Args:
        location: where the bank is stored; adds what only its store knows: failures, tokens, cost.
    """
    columns: dict[str, list[int]] = {}
    for i, question in enumerate(held.questions):
        columns.setdefault(question.benchmark, []).append(i)
    places = {name: np.array(at) for name, at in columns.items()}
    stored = _stored(location)
    return {
        "made": stored.get("made"),
        "questions": len(held),
        "benchmarks": {name: len(at) for name, at in columns.items()},
        "embedder": asdict(held.embedder),
        "llms": [
            {**_llm(held, row, name, pool, places), "stored": stored.get("llms", {}).get(name)}
            for row, name in enumerate(held.llms)
        ],
        "sources": [_source(held, name, at) for name, at in columns.items()],
    }


def _stored(location: Location | None) -> dict[str, Any]:
    if location is None:
        return {}
    try:
        with open_bank(location) as store:
            held = summary(store).to_dict()
    except BankError:  # moved away since it was loaded; what is in memory still answers
        return {}
    return {"made": held["made"], "llms": {llm["name"]: llm for llm in held["llms"]}}


def _llm(held: QuestionBank, row: int, name: str, pool: Pool, places: Mapping[str, NDArray[np.intp]]) -> dict[str, Any]:
    cells = {benchmark: _count(held, row, at) for benchmark, at in places.items()}
    return {
        "name": name,
        "model": held.models[row] if held.models else "",
        "in_pool": name in pool.names,
        "benchmarks": {benchmark: _cell(cell) for benchmark, cell in cells.items()},
        "total": _cell(sum(cells.values(), Cell(0))),
    }


def _count(held: QuestionBank, row: int, at: NDArray[np.intp]) -> Cell:
    seen = held.observed[row, at]
    return Cell(len(at), correct=int(held.capability[row, at][seen].sum()), graded=int(seen.sum()))


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "questions": cell.questions,
        "graded": cell.graded,
        "correct": cell.correct,
        "accuracy": cell.accuracy,
        "standard_error": cell.standard_error,
    }


def _source(held: QuestionBank, benchmark: str, at: list[int]) -> dict[str, Any]:
    questions = [held.questions[i] for i in at]
    return {
        "benchmark": benchmark,
        "questions": len(questions),
        "graders": sorted({question.grader for question in questions}),
        "example": " ".join(questions[0].text.split())[:160],
    }


def with_bank(trace: Mapping[str, Any] | None, held: QuestionBank) -> dict[str, Any] | None:
    """A trace with the text and label of each support question, and which LLM of the bank answers it correctly."""
    if trace is None:
        return None
    place = {question.id: i for i, question in enumerate(held.questions)}
    support = [{**item, **_known(held, place.get(item.get("id", "")))} for item in trace.get("support") or []]
    return {**trace, "support": support}


def _known(held: QuestionBank, at: int | None) -> dict[str, Any]:
    if at is None:  # the bank has changed since
        return {}
    question = held.questions[at]
    correct = {
        name: int(held.capability[row, at]) if held.observed[row, at] else None for row, name in enumerate(held.llms)
    }
    return {"text": question.text[:_LONGEST_TEXT], "label": question.answer, "correct": correct}
