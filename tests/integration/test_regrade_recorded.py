"""Our graders agree with the correctness of the 142,641 recorded answers of real LLMs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from smcs import registry
from smcs.protocols import Grader
from smcs.types import Question

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> Path:
    """The folder of recorded answers."""
    return shared_dir / "data" / "recorded"


@pytest.mark.parametrize(
    ("name", "grader_name", "rows", "least"),
    [("gsm", "gsm8k", 51_441, 0.9995), ("crux", "cruxeval", 31_200, 0.997), ("mmlu_pro", "choice", 60_000, 0.99)],
)
def test_agreement(recorded: Path, name: str, grader_name: str, rows: int, least: float) -> None:
    grader: Grader = registry.find("graders", grader_name).create()
    questions = {q.id: q for q in read_questions(recorded / f"{name}_questions.jsonl.zst")}
    table = pq.read_table(recorded / f"{name}_responses.parquet", columns=["question_id", "llm", "response", "correct"])
    assert table.num_rows == rows
    disagreements = [
        (row["llm"], row["question_id"])
        for row in table.to_pylist()
        if grader.grade(row["response"], questions[row["question_id"]]).correct != row["correct"]
    ]
    assert 1 - len(disagreements) / rows >= least, f"{len(disagreements)} disagreements, such as {disagreements[:5]}"


def read_questions(path: Path) -> Iterator[Question]:
    with zstandard.ZstdDecompressor().stream_reader(path.read_bytes()) as reader:
        lines = reader.readall().split(b"\n")
    for row in (json.loads(line) for line in lines if line):
        options = None if row["options"] is None else tuple(row["options"])
        yield Question(text=row["question"], id=row["id"], answer=row["answer"], options=options)
