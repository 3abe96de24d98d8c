"""MBPP: short Python programs, judged by three tests each. Test: the official test split; validation: the rest.

The question shows the tests, because many tasks cannot be understood without them.
"""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row

_REPO = "google-research-datasets/mbpp"
_REVISION = "4bb6404fdc6cacfda99d4ac4205087b89d32030c"


def _convert(official_split: str, row: Row) -> Candidate:
    meta = {
        "task_id": row["task_id"],
        "official_split": official_split,
        "tests": list(row["test_list"]),
        "challenge_tests": list(row["challenge_test_list"]),
        "test_setup_code": row["test_setup_code"],
        "text": row["text"],
    }
    question = row["text"] + "\n\nYour Python code should pass these tests:\n" + "\n".join(row["test_list"])
    return Candidate(str(row["task_id"]), question, row["code"], meta=meta)


def _table(official_split: str, split: str) -> HubTable:
    return HubTable(
        repo=_REPO,
        revision=_REVISION,
        path=f"full/{official_split}-00000-of-00001.parquet",
        convert=lambda row, _: _convert(official_split, row),
        splits=(split,),
    )


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="mbpp",
        grader="code",
        prompt_file="mbpp.txt",
        sizes={"validation": 461, "test": 500},
        tables=(_table("test", "test"), _table("train", "validation"), _table("validation", "validation")),
    )
