"""MMLU-Pro: multiple choice with up to ten options over fourteen subjects. Both splits are drawn from its test set."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row


def _convert(row: Row, _: int) -> Candidate:
    stem = row["question"].strip()
    meta = {"question_id": row["question_id"], "subject": row["category"], "src": row["src"], "stem": stem}
    options = tuple(option for option in row["options"] if option != "N/A")  # padding of older revisions
    return Candidate(str(row["question_id"]), stem, options=options, correct=int(row["answer_index"]), meta=meta)


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="mmlu_pro",
        grader="choice",
        prompt_file="choice.txt",
        sizes={"validation": 5512, "test": 1196},
        tables=(
            HubTable(
                repo="TIGER-Lab/MMLU-Pro",
                revision="527feea0afed1de15a8c115abf7be4c912123315",
                path="data/test-00000-of-00001.parquet",
                convert=_convert,
            ),
        ),
    )
