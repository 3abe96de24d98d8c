"""GPQA: graduate-level multiple choice. Test: the diamond subset; validation: the rest of the extended set.

Its authors ask that the questions are not put online as plain text; nothing in this package or its tests holds any.
"""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row

_REPO = "Idavidrein/gpqa"
_REVISION = "633f5ee89ab8ad4522a9f850766b73f62147ffdd"


def _convert(subset: str, row: Row) -> Candidate:
    options = [row["Correct Answer"], *(row[f"Incorrect Answer {i}"] for i in (1, 2, 3))]
    stem = row["Question"].strip()
    meta = {
        "subject": row["High-level domain"],
        "subdomain": row["Subdomain"],
        "subset": subset,
        "stem": stem,
        "canary": row.get("Canary String"),
    }
    return Candidate(row["Record ID"], stem, options=tuple(o.strip() for o in options), correct=0, meta=meta)


def _table(subset: str, split: str) -> HubTable:
    return HubTable(
        repo=_REPO,
        revision=_REVISION,
        path=f"gpqa_{subset}.csv",
        convert=lambda row, _: _convert(subset, row),
        splits=(split,),
    )


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="gpqa_diamond",
        grader="choice",
        prompt_file="choice.txt",
        sizes={"validation": 348, "test": 198},
        tables=(_table("diamond", "test"), _table("main", "validation"), _table("extended", "validation")),
    )
