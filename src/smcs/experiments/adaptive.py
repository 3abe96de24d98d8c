"""The study of adaptive effort: both rules, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from smcs import registry
from smcs.config import validate
from smcs.experiments.adaptive_skip import skip_study
from smcs.experiments.adaptive_stop import answered_in_full, stop_study
from smcs.experiments.figures import Json
from smcs.experiments.groups import groups_of, shared_sources
from smcs.experiments.tables import Table, percent
from smcs.protocols import BuildContext, Embedder
from smcs.weights import cache_dir

_EVERY = 100


async def study(
    data: Path | None,
    *,
    llms: Sequence[str],
    questions: int,
    k: int,
    seed: int,
    embedder: str,
    report: Callable[[str], None],
) -> Json:
    """Measure both rules.

    Args:
        data: folder of recorded answers; None leaves the recorded part out.
        llms: the pool of the recorded part; by default the folder's.
        questions: put to the simulated pool; 0 leaves it out.
        k: referencers on the recorded answers.
        seed: of the simulated pool and of intervals.
        embedder: name of the embedder.
        report: told how it goes on.

    Raises:
        SmcsError: recorded answers or an embedder that cannot be used.
    """
    skipped: list[Json] = []
    if data is not None:
        groups, _ = await groups_of(shared_sources(data, llms or None), embedder)
        for group in groups:
            report(f"{group.name}: {len(group.pool)} LLMs, {len(group.test)} test questions")
            skipped += skip_study(group, k, seed)
    rules = await _on_simulated(questions, seed, embedder, report) if questions else []
    return {"embedder": embedder, "seed": seed, "recorded": skipped, "simulated": rules}


async def _on_simulated(questions: int, seed: int, embedder: str, report: Callable[[str], None]) -> list[Json]:
    module = registry.find("embedders", embedder)
    settings = validate(module.Settings, {"backend": embedder}, f"embedder {embedder!r}")
    built: Embedder = module.create(settings, BuildContext(cache_dir()))

    def done(count: int, total: int) -> None:
        if count % _EVERY == 0:
            report(f"simulated pool: {count} of {total} questions")

    try:
        full = await answered_in_full(built, questions, seed, done)
    finally:
        await built.aclose()
    return stop_study(full, seed)


def tables_of(found: Json) -> list[Table]:
    """The study's tables."""
    tables = []
    for benchmark in dict.fromkeys(row["benchmark"] for row in found["recorded"]):
        rows = [row for row in found["recorded"] if row["benchmark"] == benchmark]
        title = f"Skipping on recorded answers: {benchmark}, K = {rows[0]['k']}, {rows[0]['n']} test questions"
        columns = ("agree", "skipped %", "right where skipped %", "lost at most (pp)", "lost to the best LLM (pp)")
        cells = [
            (
                f"{round(row['share'] * row['k'])} of {row['k']}{' *' if row['chosen'] else ''}",
                percent(row["skipped"], 1),
                percent(row["accuracy_where_skipped"], 1),
                _interval(row, "most_lost"),
                _interval(row, "lost_to_best_llm"),
            )
            for row in rows
        ]
        tables.append(Table(f"skip-{benchmark}", title, columns, tuple(cells)))
    return [*tables, _simulated(found["simulated"])] if found["simulated"] else tables


def _simulated(rows: list[Json]) -> Table:
    n, full = rows[0]["test"]["n"], rows[0]["test"]["accuracy_in_full"]
    title = f"Both rules on a simulated pool: {n} test questions, {percent(full, 1)}% right in full"
    columns = ("rule", "agreement", "tolerance", "skip", "aggregations saved %", "requests saved %", "lost (pp)")
    cells = [
        (
            f"{row['rule']}{' *' if row['chosen'] else ''}",
            "-" if row["agreement"] is None else f"{row['agreement']:g}",
            "-" if row["tolerance"] is None else f"{row['tolerance']:g}",
            "-" if row["skip_agreeing"] is None else f"{row['skip_agreeing']:.2f}",
            percent(row["test"]["aggregations_saved"], 1),
            percent(row["test"]["requests_saved"], 1),
            _interval(row["test"], "lost"),
        )
        for row in rows
    ]
    return Table("simulated", title, columns, tuple(cells), text=4)


def _interval(row: Json, name: str) -> str:
    return f"{100 * row[name]:.2f} [{100 * row[f'{name}_low']:.2f}, {100 * row[f'{name}_high']:.2f}]"
