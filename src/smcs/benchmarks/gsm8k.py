"""GSM8K: word problems with a number as the answer. Two fixed random halves of its test set."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row


def _convert(row: Row, number: int) -> Candidate:
    answer = row["answer"].rpartition("####")[2].strip()
    return Candidate(str(number), row["question"], answer, meta={"source_id": f"gsm8k-main-test-#{number}"})


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="gsm8k",
        grader="gsm8k",
        prompt_file="gsm8k.txt",
        sizes={"validation": 660, "test": 659},
        aliases=("gsm",),
        tables=(
            HubTable(
                repo="openai/gsm8k",
                revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
                path="main/test-00000-of-00001.parquet",
                convert=_convert,
            ),
        ),
    )
