"""Figure 5: from which benchmarks the support sets of each test benchmark come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs import registry
from smcs.benchmarks._base import LocalFolder
from smcs.core.prior import cosine_similarity, support_set
from smcs.evaluation.run import in_order
from smcs.experiments.called import Arm, Made, Setting
from smcs.experiments.charts import Chart, Shares
from smcs.experiments.embedding import embed_cached
from smcs.experiments.exhibit import Exhibit, Measured, Row, Source
from smcs.experiments.main_table import BENCHMARKS
from smcs.types import Question

TITLE = "share of support questions by source benchmark, per cent"
PAPER_SHOWS = "The paper's Figure 5 is a plot without numbers."
N_BASE, GAMMA = 400, 0.95


async def from_data(
    data: Path, embedder: str, *, limit: int | None, report: Callable[[int, int], None] = lambda done, total: None
) -> Exhibit:
    """From the benchmarks' validation questions (the bank) and test questions; needs no answers.

    Args:
        data: folder with the benchmarks.
        limit: most test questions of each benchmark.

    Raises:
        QuestionError: a benchmark is not there.
    """
    bank, tested = [], list[Question]()
    for name in BENCHMARKS:
        benchmark = registry.find("benchmarks", name).create()
        bank += benchmark.load("validation", LocalFolder(data))
        tested += in_order(benchmark.load("test", LocalFolder(data)), limit)
    vectors, info = await embed_cached([q.text for q in [*bank, *tested]], embedder, report=report)
    found = _shares(bank, tested, vectors[: len(bank)], vectors[len(bank) :], (N_BASE, GAMMA))
    said = f"Bank: {len(bank)} validation questions of {len(BENCHMARKS)} benchmarks; embedder {info.name}"
    return _exhibit("recorded", f"{said}; n_base = {N_BASE}, gamma = {GAMMA}.", found)


def arms(setting: Setting) -> list[Arm]:
    """None: nothing is called but the embedder."""
    return []


async def from_calls(made: Sequence[Made], setting: Setting) -> Exhibit:
    """From the bank at hand and the tested questions."""
    bank, method = setting.parts.bank, setting.parts.method
    tested = in_order(setting.questions, setting.limit)
    vectors = await setting.parts.embedder.embed([q.text for q in tested], "query")
    found = _shares(bank.questions, tested, bank.embeddings, vectors, (method.n_base, method.gamma))
    said = f"Bank {setting.bank} of {len(bank)} questions; embedder {bank.embedder.name}"
    return _exhibit(setting.source, f"{said}; n_base = {method.n_base}, gamma = {method.gamma}.", found)


class _Found:
    """Support sets of one test benchmark's questions."""

    def __init__(self) -> None:
        self.shares: list[dict[str, float]] = []
        self.sizes: list[int] = []


def _shares(
    bank: Sequence[Question],
    tested: Sequence[Question],
    vectors: NDArray[Any],
    queries: NDArray[Any],
    support: tuple[int, float],
) -> Mapping[str, Any]:
    """By test benchmark, each question's share of support questions by source, and the support sets' sizes."""
    source = np.array([q.benchmark for q in bank])
    names = list(dict.fromkeys(source.tolist()))
    found: dict[str, _Found] = {}
    for question, query in zip(tested, queries, strict=True):
        similarity = cosine_similarity(vectors, query, normalised=True)
        at = source[support_set(similarity, *support)]
        part = found.setdefault(question.benchmark, _Found())
        part.shares.append({name: float((at == name).mean()) for name in names})
        part.sizes.append(len(at))
    return {"sources": {name: int((source == name).sum()) for name in names}, "found": found}


def _exhibit(source: Source, setting: str, shares: Mapping[str, Any]) -> Exhibit:
    sources: dict[str, int] = shares["sources"]
    found: dict[str, _Found] = shares["found"]
    total = sum(sources.values())
    rows, table = [], []
    for name in sorted(found, key=lambda name: list(sources).index(name) if name in sources else len(sources)):
        part = found[name]
        values = {s: np.array([one[s] for one in part.shares]) for s in sources}
        cells = {s: _percent(v) for s, v in values.items()}
        cells["size"] = Measured(float(np.median(part.sizes)), n=len(part.sizes))
        rows.append(Row(f"{name} ({len(part.sizes)})", cells))
        table.append([cells[s].value for s in sources])
    chance = {name: Measured(100 * count / total) for name, count in sources.items()}
    rows.append(Row("the whole bank", {**chance, "size": Measured(float(total))}))
    table.append([cell.value for cell in chance.values()])
    columns = {**{name: f"{name} ({count})" for name, count in sources.items()}, "size": "support, median"}
    return Exhibit(
        "Figure 5", TITLE, source, setting, columns, rows, digits={"size": 0},
        notes=[
            "Rows: test benchmarks with their number of questions; columns: benchmarks of the bank with theirs. The "
            "last row is what a support set drawn at random would hold.",
            PAPER_SHOWS,
        ],
        chart=Chart(
            "Where support questions come from",
            [Shares("", [row.label for row in rows], list(sources), table, "test benchmark", "source benchmark")],
            "Per cent of the support set, mean over test questions; the last row is the whole bank.",
        ),
    )  # fmt: skip


def _percent(values: NDArray[Any]) -> Measured:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Measured(100 * float(values.mean()), 100 * error, len(values))
