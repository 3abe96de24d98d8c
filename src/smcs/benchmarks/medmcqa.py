"""MedMCQA: medical entrance examinations. Test and half of the validation split are of its development set."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row, digest

_COLUMNS = ("question", "opa", "opb", "opc", "opd", "cop")


def _convert(pool: str, row: Row) -> Candidate:
    stem = row["question"].strip()
    options = tuple(row[name].strip() for name in ("opa", "opb", "opc", "opd"))
    meta = {"pool": pool, "stem": stem}
    return Candidate(digest(stem, options), stem, options=options, correct=int(row["cop"]), meta=meta)


def _table(file: str, pool: str, splits: tuple[str, ...]) -> HubTable:
    return HubTable(
        repo="openlifescienceai/medmcqa",
        revision="91c6572c454088bf71b679ad90aa8dffcd0d5868",
        path=f"data/{file}-00000-of-00001.parquet",
        convert=lambda row, _: _convert(pool, row),
        splits=splits,
        columns=_COLUMNS,
    )


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="medmcqa",
        grader="choice",
        prompt_file="choice.txt",
        sizes={"validation": 1000, "test": 1200},
        tables=(_table("validation", "dev", ("validation", "test")), _table("train", "train", ("validation",))),
    )
