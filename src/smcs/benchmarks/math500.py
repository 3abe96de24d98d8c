"""MATH: test MATH-500, validation 1,000 problems of the training set."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row, digest
from smcs.graders._math_text import last_boxed


def _test(row: Row, _: int) -> Candidate:
    meta = {"subject": row["subject"], "level": int(row["level"]), "solution": row["solution"]}
    return Candidate(row["unique_id"].removesuffix(".json"), row["problem"], row["answer"], meta=meta)


def _training(row: Row, _: int) -> Candidate | None:
    answer = last_boxed(row["solution"])
    if answer is None:
        return None
    level = row["level"].removeprefix("Level ")
    meta = {
        "subject": row["type"],
        "level": int(level) if level.isdigit() else None,
        "solution": row["solution"],
    }
    return Candidate(digest(row["problem"]), row["problem"], answer, meta=meta)


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="math500",
        grader="math",
        prompt_file="math500.txt",
        sizes={"validation": 1000, "test": 500},
        tables=(
            HubTable(
                repo="HuggingFaceH4/MATH-500",
                revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
                path="test.jsonl",
                convert=_test,
                splits=("test",),
            ),
            HubTable(
                repo="DigitalLearningGmbH/MATH-lighteval",
                revision="0530c78699ea5e8eb5530600900e1f328b48acad",
                path="data/train-00000-of-00001.parquet",
                convert=_training,
                splits=("validation",),
            ),
        ),
    )
