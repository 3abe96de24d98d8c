"""How many completions a second an evaluation asks for, stores and grades, against endpoints that answer at once.

    python benchmarks/evaluation_throughput.py [--llms 4] [--questions 2500] [--concurrency 16] [--tokens 40]
                                               [--profile FILE]

The simulated endpoint runs in a process of its own on loopback and serves all LLMs; questions are multiple choice.
Besides the rate, which other work on the machine lowers, it prints the processor time of each part for a completion,
which it hardly does: on two processors the rate cannot be above two divided by their sum, nor one divided by the
largest, since each part is one process that computes one thing at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import resource
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smcs.bank import open_bank
from smcs.bank.create import create_bank
from smcs.bank.evaluate import evaluate
from smcs.bank.plan import Conditions
from smcs.bank.tables import summary
from smcs.config import PoolConfig
from smcs.embedders import tfidf
from smcs.llms import openai
from smcs.protocols import BuildContext
from smcs.system import build_pool
from smcs.testing.running import endpoint_process
from smcs.types import Question, Sampling

CONTEXT = BuildContext(cache_dir=Path())
STEM = (
    "A merchant sells {a} bags of grain at {b} coins each, and pays {c} coins for the cart that brought them to the "
    "market. How many coins does the merchant keep in the end?"
)


def question(i: int) -> Question:
    a, b, c = 2 + i % 89, 3 + i // 89, 1 + i % 7
    right = a * b - c
    options = (str(right + c), str(right), str(right - 1), str(a + b + c))
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
    text = f"{STEM.format(a=a, b=b, c=c)}\n\n{listed}"
    return Question(text, f"grain/{i}", "B", "choice", "grain", options=options)


@contextmanager
def endpoint(questions: list[Question], names: list[str], tokens: int) -> Iterator[str]:
    """The simulated endpoint as a process: gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder, "answers.jsonl")
        rows = [{"question": q.text, "answer": q.answer, "options": q.options} for q in questions]
        answers.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        llms = [part for name in names for part in ("--llm", f"{name}:0.6")]
        with endpoint_process("--answers", str(answers), "--tokens", str(tokens), *llms) as url:
            yield url


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def children_cpu() -> float:
    """Processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def measure(arguments: argparse.Namespace) -> None:
    questions = [question(i) for i in range(arguments.questions)]
    names = [f"llm-{i}" for i in range(arguments.llms)]
    calls = len(questions) * len(names)
    with tempfile.TemporaryDirectory() as folder, endpoint(questions, names, arguments.tokens) as url:
        path = Path(folder, "load.bank")
        await create_bank(
            path, [(q, "validation") for q in questions], tfidf.create(tfidf.Settings(backend="tfidf"), CONTEXT)
        )
        pool = PoolConfig(
            llm=tuple(
                openai.Settings(
                    name=name, backend="openai", base_url=url, model=name, max_concurrency=arguments.concurrency
                )
                for name in names
            )
        )
        conditions = Conditions(
            Sampling(temperature=0.0, max_tokens=512), "Answer step by step, then: The answer is (X)."
        )
        before, children = stats(url), children_cpu()
        profiler = cProfile.Profile() if arguments.profile else None
        with open_bank(path, write=True) as store:
            async with build_pool(pool) as llms:
                if profiler:
                    profiler.enable()
                begin, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
                report = await evaluate(store, llms, conditions=conditions)
                seconds, own, loop = time.perf_counter() - begin, time.process_time() - cpu, time.thread_time() - loop
                if profiler:
                    profiler.disable()
                    profiler.dump_stats(arguments.profile)
            graded = sum(llm.total.graded for llm in summary(store).llms)
        after, grading = stats(url), children_cpu() - children  # the endpoint is not among the ended children yet
    assert report.complete
    assert graded == calls == after["calls"] - before["calls"], (graded, calls, after["calls"])
    served = after["cpu_seconds"] - before["cpu_seconds"]
    print(f"{calls} completions of {len(names)} LLMs, {arguments.concurrency} at once each: {seconds:.1f} s")
    print(f"  evaluated, stored and graded   {calls / seconds:7.0f} a second")
    parts = {"runner": own, "grading": grading, "endpoint": served}
    for name, used in parts.items():
        print(f"  {name:10} CPU {used / calls * 1e3:16.3f} ms a completion")
    print(f"    of the runner's: event loop {loop / calls * 1e3:.3f}, writer {(own - loop) / calls * 1e3:.3f}")
    total, most = sum(parts.values()) / calls, max(parts.values()) / calls
    print(f"  on two idle processors at most {min(2 / total, 1 / most):7.0f} a second")
    print(f"load before and now: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llms", type=int, default=4)
    parser.add_argument("--questions", type=int, default=2500)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--profile", type=Path, help="write a profile of the runner here (slows it down)")
    asyncio.run(measure(parser.parse_args()))
