"""CRUXEval, output prediction: what a short Python function returns. Two fixed random halves of its one set."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row

_TASK = (
    "You are given a Python function and an assertion containing an input to the function. Complete the assertion with "
    "a literal (no unsimplified expressions, no function calls) containing the output when executing the provided code "
    "on the given input, even if the function is incorrect or incomplete. \n\n"
    "[PYTHON]\n{code}\nassert f({input}) == ??\n[/PYTHON]"
)


def _convert(row: Row, _: int) -> Candidate:
    number = row["id"].removeprefix("sample_")
    question = _TASK.format(code=row["code"], input=row["input"])
    return Candidate(number, question, row["output"], meta={"source_id": f"crux-test-#{number}"})


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="cruxeval",
        grader="cruxeval",
        prompt_file="cruxeval.txt",
        sizes={"validation": 400, "test": 400},
        aliases=("crux",),
        tables=(
            HubTable(
                repo="cruxeval-org/cruxeval",
                revision="b96af0450242eb4da433032b90998f25588a5d0f",
                path="test.jsonl",
                convert=_convert,
            ),
        ),
    )
