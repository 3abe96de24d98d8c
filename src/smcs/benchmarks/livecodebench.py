"""LiveCodeBench, code generation. Test: August 2024 to January 2025; validation: release v1, May 2023 to March 2024.

Judged by the public tests only: the hidden ones are pickled archives of a gigabyte, and a local folder has none. So a
pass here is weaker than the official one.
"""

from __future__ import annotations

import json

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row

_FROM_INPUT = (
    "Write a Python program that reads the input from standard input and prints the answer to standard output."
)
_FROM_STARTER = "Write the solution in Python by completing this starter code:\n```python\n{code}\n```"


def _convert(release: str, row: Row) -> Candidate:
    starter = row["starter_code"].rstrip()
    task = _FROM_STARTER.format(code=starter) if starter else _FROM_INPUT
    tests = [
        {"input": t["input"], "output": t["output"], "testtype": t["testtype"]}
        for t in json.loads(row["public_test_cases"])
    ]
    meta = {
        "contest_id": row["contest_id"],
        "contest_date": row["contest_date"][:10],
        "platform": row["platform"],
        "difficulty": row["difficulty"],
        "release": release,
        "title": row["question_title"],
        "starter_code": starter,
        "func_name": json.loads(row["metadata"] or "{}").get("func_name"),
        "tests": tests,
        "tests_origin": "public_test_cases",
    }
    return Candidate(row["question_id"], f"{row['question_content'].strip()}\n\n{task}", meta=meta)


def _table(path: str, release: str, split: str) -> HubTable:
    return HubTable(
        repo="livecodebench/code_generation_lite",
        revision="0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
        path=path,
        convert=lambda row, _: _convert(release, row),
        splits=(split,),
    )


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="livecodebench",
        grader="code",
        prompt_file="livecodebench.txt",
        sizes={"validation": 400, "test": 279},
        tables=(
            _table("test.jsonl", "v1", "validation"),
            # The latest release first: older ones are fetched only while questions are missing.
            *(_table(f"test{n}.jsonl", f"v{n}", "test") for n in (5, 4, 3, 2)),
        ),
    )
