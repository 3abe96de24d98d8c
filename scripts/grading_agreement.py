#!/usr/bin/env python3
"""How far our graders agree with the benchmarks' own answers and with grades that others gave.

    python scripts/grading_agreement.py DATA [--only NAME ...] [--sandbox auto|bubblewrap|landlock]

DATA is the folder above ``benchmarks`` and ``recorded``. Prints a line for each benchmark:

* its gold answers, put into a sentence as its prompt asks for; of MATH also its official solutions;
* of MBPP its reference programs, run in the sandbox;
* of LiveCodeBench, which has no references, programs that look the expected output up by the input: what is asked of a
  program in every test can be met, and with one output spoiled the same program is wrong;
* of recorded answers, how many get the grade that is recorded.

IFEval has no gold answers.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq
import zstandard

from smcs import registry
from smcs.benchmarks._base import LocalFolder, TableBenchmark
from smcs.graders.code import create as code_grader
from smcs.programs import Sandbox
from smcs.protocols import Grader
from smcs.sandbox import choose, conduct_blocking
from smcs.types import Question

Judged: TypeAlias = Iterator[tuple[str, bool | None, bool]]
"""Of each response its name, whether it was judged correct, and whether it should have been."""
SENTENCES: Mapping[str, Callable[[str], str]] = {
    "aime": lambda answer: rf"Thus the value is $\boxed{{{answer}}}$.",
    "math": lambda answer: rf"So we get $x$. The answer is $\boxed{{{answer}}}$.",
    "choice": lambda answer: f"Because of this, the answer is ({answer}).",
    "gsm8k": lambda answer: f"That makes 3 + 4 in all. The answer is {answer}",
    "cruxeval": lambda answer: f"The loop ends at once. The answer is {answer}",
}
RECORDED = {"gsm": "gsm8k", "crux": "cruxeval", "mmlu_pro": "choice"}
_SHOWN = 5


@dataclass(frozen=True)
class Part:
    """One line of the table, and how to make it."""

    name: str
    judge: Callable[[], Judged]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--sandbox", default="auto")
    arguments = parser.parse_args()
    for part in parts(arguments.data, arguments.sandbox):
        if not arguments.only or part.name.split()[0] in arguments.only:
            report(part)


def report(part: Part) -> None:
    """Print one line, and what disagrees."""
    begun = time.perf_counter()
    judged = list(part.judge())
    off = [name for name, correct, expected in judged if correct is not expected]
    share = 1 - len(off) / len(judged)
    such = f"; such as {', '.join(off[:_SHOWN])}" if off else ""
    seconds = time.perf_counter() - begun
    print(
        f"{part.name:32} {len(judged):7,} {100 * share:7.2f}%  {len(off):4} differ  {seconds:6.0f} s{such}", flush=True
    )


def parts(data: Path, sandbox: str) -> Iterator[Part]:
    """All that can be checked."""
    for name in registry.names("benchmarks"):
        benchmark: TableBenchmark = registry.find("benchmarks", name).create()
        if benchmark.grader in SENTENCES:
            yield Part(f"{benchmark.name} gold", lambda b=benchmark: gold(b, data))  # type: ignore[misc]
    yield Part("math500 solutions", lambda: solutions(data))
    yield Part("mbpp references", lambda: run(questions_of("mbpp", data), choose(sandbox), _reference))
    yield Part("livecodebench look-up", lambda: run(questions_of("livecodebench", data), choose(sandbox), _looked_up))
    yield Part(
        "livecodebench spoiled",
        lambda: run(questions_of("livecodebench", data), choose(sandbox), _spoiled, expected=False),
    )
    for name, grader in RECORDED.items():
        yield Part(f"{name} recorded", lambda n=name, g=grader: recorded(data / "recorded", n, g))  # type: ignore[misc]


def questions_of(name: str, data: Path) -> list[Question]:
    """All questions of a benchmark."""
    benchmark: TableBenchmark = registry.find("benchmarks", name).create()
    return [q for split in benchmark.splits for q in benchmark.load(split, LocalFolder(data))]


def gold(benchmark: TableBenchmark, data: Path) -> Judged:
    """The labels as responses."""
    grader: Grader = registry.find("graders", benchmark.grader).create()
    for question in questions_of(benchmark.name, data):
        response = SENTENCES[benchmark.grader](str(question.answer))
        yield question.id, grader.grade(response, question).correct, True


def solutions(data: Path) -> Judged:
    """The official solutions of MATH as responses."""
    grader: Grader = registry.find("graders", "math").create()
    for question in questions_of("math500", data):
        yield question.id, grader.grade(question.meta["solution"], question).correct, True


def run(
    questions: Iterable[Question], sandbox: Sandbox, program: Callable[[Question], str], *, expected: bool = True
) -> Judged:
    """Programs as responses, in the sandbox."""
    grader = code_grader()

    def judge(question: Question) -> tuple[str, bool | None, bool]:
        response = f"```python\n{program(question)}\n```"
        return question.id, conduct_blocking(sandbox, grader.trial(response, question)).correct, expected

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(judge, questions)


def _reference(question: Question) -> str:
    return question.answer or ""


def _looked_up(question: Question, *, spoil: bool = False) -> str:
    tests: Sequence[Mapping[str, str]] = question.meta["tests"]
    outputs = [test["output"] for test in tests]
    if tests[0]["testtype"] == "stdin":
        if spoil:
            outputs[-1] += "\nmore"
        table: dict[str, Any] = dict(zip((test["input"] for test in tests), outputs, strict=True))
        return f"import sys\nTABLE = {table!r}\nprint(TABLE[sys.stdin.read()])"
    values = [json.loads(output) for output in outputs]
    if spoil:
        values[-1] = [values[-1]]
    keys = [repr(tuple(json.loads(line) for line in test["input"].split("\n"))) for test in tests]
    body = f"        return TABLE[repr(given)]\nTABLE = {dict(zip(keys, values, strict=True))!r}"
    return f"class Solution:\n    def {question.meta['func_name']}(self, *given):\n{body}"


def _spoiled(question: Question) -> str:
    return _looked_up(question, spoil=True)


def recorded(folder: Path, name: str, grader_name: str) -> Judged:
    """Recorded answers of real LLMs, graded anew."""
    grader: Grader = registry.find("graders", grader_name).create()
    with zstandard.ZstdDecompressor().stream_reader((folder / f"{name}_questions.jsonl.zst").read_bytes()) as reader:
        rows = [json.loads(line) for line in reader.readall().split(b"\n") if line]
    questions = {
        row["id"]: Question(row["question"], row["id"], row["answer"], options=tuple(row["options"] or ()) or None)
        for row in rows
    }
    columns = ["question_id", "llm", "response", "correct"]
    for row in pq.read_table(folder / f"{name}_responses.parquet", columns=columns).to_pylist():
        correct = grader.grade(row["response"], questions[row["question_id"]]).correct
        yield f"{row['llm']} on {row['question_id']}", correct, row["correct"]


if __name__ == "__main__":
    main()
