"""IFEval: instructions that can be checked by rule. Put to the LLM as they are, without a system prompt."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row


def _convert(row: Row, _: int) -> Candidate:
    kwargs = [{name: value for name, value in given.items() if value is not None} for given in row["kwargs"]]
    meta = {"key": row["key"], "instruction_id_list": list(row["instruction_id_list"]), "kwargs": kwargs}
    return Candidate(str(row["key"]), row["prompt"], meta=meta)


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="ifeval",
        grader="ifeval",
        prompt_file="",
        sizes={"validation": 241, "test": 300},
        tables=(
            HubTable(
                repo="google/IFEval",
                revision="966cd89545d6b6acfd7638bc708b98261ca58e84",
                path="ifeval_input_data.jsonl",
                convert=_convert,
            ),
        ),
    )
