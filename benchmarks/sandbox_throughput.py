"""How many programs an hour each sandbox runs here, and what one of them costs.

    python benchmarks/sandbox_throughput.py [--runs 200] [--workers 2] [--mbpp FILE.jsonl.zst]

Prints, per sandbox: runs per second and hour for an empty program, the median and the 95th percentile of one run alone,
and the same for a bare ``python -c pass``, which is the floor. With ``--mbpp`` also graded responses per second: the
reference programs of MBPP, parsed, run and judged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zstandard

from smcs.graders.code import create
from smcs.programs import Program, Sandbox
from smcs.sandbox import SandboxUnavailableError, choose, conduct
from smcs.sandbox._interpreter import own
from smcs.types import Question


def timed(act: Callable[[], object], runs: int) -> str:
    """Median and 95th percentile, in milliseconds."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        act()
        times.append((time.perf_counter() - begun) * 1e3)
    return f"{statistics.median(times):6.1f} ms median {statistics.quantiles(times, n=20)[-1]:6.1f} ms p95"


async def rate(sandbox: Sandbox, runs: int) -> float:
    """Runs per second of an empty program, as many at once as the sandbox has places."""
    begun = time.perf_counter()
    outcomes = await asyncio.gather(*(sandbox.run("pass") for _ in range(runs)))
    assert all(outcome.status == "ok" for outcome in outcomes)
    return runs / (time.perf_counter() - begun)


def rows_of(file: Path, count: int) -> list[dict[str, Any]]:
    """The first questions of a benchmark file."""
    text = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read().decode()
    return [json.loads(line) for line in text.split("\n")[:count] if line]


async def grading_rate(sandbox: Sandbox, rows: Sequence[dict[str, Any]]) -> tuple[float, int]:
    """Responses graded per second, and how many were not correct (none should be)."""
    grader = create()

    async def grade(row: dict[str, Any]) -> bool | None:
        question = Question(row["question"], row["id"], grader="code", meta=row["meta"])
        return (await conduct(sandbox, grader.trial(f"```python\n{row['answer']}\n```", question))).correct

    begun = time.perf_counter()
    grades = await asyncio.gather(*map(grade, rows))
    return len(rows) / (time.perf_counter() - begun), sum(grade is not True for grade in grades)


async def measure(name: str, arguments: argparse.Namespace) -> None:
    """All figures of one sandbox."""
    try:
        begun = time.perf_counter()
        sandbox = await asyncio.to_thread(choose, name, workers=arguments.workers)
    except SandboxUnavailableError as error:
        print(f"{name}: {error}")
        return
    print(f"{name}: chosen and tested in {time.perf_counter() - begun:.2f} s")
    print(f"  one at a time     {timed(lambda: sandbox.execute(Program('pass')), arguments.runs // 4)}")
    each = await rate(sandbox, arguments.runs)
    print(f"  {arguments.workers} at a time       {each:6.1f} runs/s = {each * 3600:,.0f} an hour")
    if arguments.mbpp:
        each, wrong = await grading_rate(sandbox, rows_of(arguments.mbpp, arguments.runs))
        print(f"  MBPP references   {each:6.1f} graded/s = {each * 3600:,.0f} an hour, {wrong} not correct")
    await sandbox.aclose()


def main() -> None:
    """Measure every sandbox."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--mbpp", type=Path)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    bare = [str(own().executable), "-I", "-S", "-c", "pass"]
    print(
        f"python -c pass:\n  one at a time     {timed(lambda: subprocess.run(bare, check=True), arguments.runs // 4)}"
    )
    for name in ("bubblewrap", "landlock", "rlimits"):
        asyncio.run(measure(name, arguments))


if __name__ == "__main__":
    main()
