"""AIME: competition problems whose answers are integers from 0 to 999. Test 2024, validation 1983 to 2023."""

from __future__ import annotations

from smcs.benchmarks._base import TableBenchmark
from smcs.benchmarks._hub import Candidate, HubTable, Row


def _historical(row: Row, _: int) -> Candidate:
    year, number, contest = int(row["Year"]), int(row["Problem Number"]), row.get("Part") or None
    key = "_".join(str(part) for part in (year, "AIME", contest, number) if part is not None)
    meta = {"year": year, "contest": contest, "number": number}
    return Candidate(key, row["Question"], str(int(row["Answer"])), meta=meta)


def _latest(row: Row, _: int) -> Candidate:
    year, contest, number = row["ID"].split("-")
    meta = {"year": int(year), "contest": contest, "number": int(number)}
    return Candidate(f"{year}_AIME_{contest}_{number}", row["Problem"], str(int(row["Answer"])), meta=meta)


def create() -> TableBenchmark:
    """Build the benchmark."""
    return TableBenchmark(
        name="aime",
        grader="aime",
        prompt_file="aime.txt",
        sizes={"validation": 909, "test": 30},
        tables=(
            HubTable(
                repo="di-zhang-fdu/AIME_1983_2024",
                revision="3e2cc86390666c5c756622afc0eeb9e6194496bc",
                path="AIME_Dataset_1983_2024.csv",
                convert=_historical,
                splits=("validation",),
            ),
            HubTable(
                repo="Maxwell-Jia/AIME_2024",
                revision="8d88b2876a82a080e2f172cc9b25d0d9d2cb4792",
                path="aime_2024_problems.parquet",
                convert=_latest,
                splits=("test",),
            ),
        ),
    )
