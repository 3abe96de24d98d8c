"""What `smcs serve` adds to the critical path of the calls, and whether its memory grows under load.

Three processes: the real server over 15 simulated LLMs that all take the same time (K = 7, n = 8, the paper's preset),
a load generator, and this one, which looks on. The critical path of an answer is then a reference and an aggregation
that waits for it: twice that time. What an answer took beyond it, as the client sees it, was added: by the client and
the network, too, but next to nothing. CPU time of the server is told besides: latency suffers where other programs run,
CPU time less. Neighbours on a shared host show in neither, but make both worse: so each figure comes with the time that
a fixed loop of Python took just before and after.

    python -m benchmarks.server_load [--requests 200] [--concurrency 1 --concurrency 32] [--memory-requests 5000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from smcs import cli

LLMS, LATENCY = 15, 0.2
LLM = """
[[llm]]
name = "llm-{i}"
backend = "simulated"
skill = {skill:.2f}
latency_s = {latency}
tokens = 8
max_concurrency = 1000
"""
REST = """
[embedder]
backend = "tfidf"
[smcs]
aggregator = "llm-14"
"""
TICKS = os.sysconf("SC_CLK_TCK")


def pool_text(latency: float) -> str:
    llms = (LLM.format(i=i, skill=0.3 + 0.04 * i, latency=latency) for i in range(LLMS))
    return "".join(llms) + REST


def make_bank(folder: Path, questions: int) -> None:
    pool, bank, source = folder / "quick.toml", folder / "load.bank", folder / "questions.jsonl"
    pool.write_text(pool_text(0.0), encoding="utf-8")
    (folder / "pool.toml").write_text(pool_text(LATENCY), encoding="utf-8")
    rows = (
        {"id": f"q{i}", "question": f"What is {i} + {i * i}?", "answer": str(i + i * i), "grader": "numeric"}
        for i in range(questions)
    )
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    create = ["bank", "create", str(bank), "--from", str(source), "--pool", str(pool), "--quiet"]
    if cli.run(create) or cli.run(["bank", "evaluate", str(bank), "--pool", str(pool), "--quiet"]):
        raise SystemExit("the bank could not be made")


class Server:
    """The server's process, looked at from outside."""

    def __init__(self, folder: Path, pool: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "smcs", "serve", "--preset", "paper", "--port", "0", *arguments]
        files = ["--pool", str(folder / pool), "--bank", str(folder / "load.bank")]
        files += ["--traces-file", str(folder / f"{pool}.traces")]
        self.process = subprocess.Popen([*command, *files], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Resident MiB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8"))
        assert found is not None
        return int(found[1]) / 1024

    def load(self, concurrency: int, requests: int, first: int = 0) -> list[float]:
        """Seconds of each request, as a generator in another process saw them."""
        command = [sys.executable, "-m", "benchmarks.server_load", "--generate", self.url]
        numbers = ["--requests", str(requests), "--concurrency", str(concurrency), "--first", str(first)]
        done = subprocess.run([*command, *numbers], stdout=subprocess.PIPE, text=True, check=True)
        seconds: list[float] = json.loads(done.stdout)
        return seconds

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)


def loop_seconds() -> float:
    """How fast a core is at the moment: the time of a fixed loop of Python."""
    begin = time.perf_counter()
    places: dict[int, str] = {}
    for i in range(1_500_000):
        places[i & 4095] = str(i)
    return time.perf_counter() - begin


async def generate(url: str, concurrency: int, requests: int, first: int) -> list[float]:
    numbers = iter(range(first, first + requests))
    seconds: list[float] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(i: int) -> None:
            messages = [{"role": "user", "content": f"How much is {i} + {7 * i}, if {i} is a whole number?"}]
            body: dict[str, Any] = {"model": "smcs", "messages": messages, "seed": i}
            begin = time.perf_counter()
            async with session.post(f"{url}/chat/completions", json=body) as response:
                answer = await response.json()
            seconds.append(time.perf_counter() - begin)
            if response.status != 200 or "The answer is" not in answer["choices"][0]["message"]["content"]:
                raise SystemExit(f"request {i}: HTTP {response.status}: {answer}")

        async def worker() -> None:
            for i in numbers:
                await one(i)

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    return seconds


def measure_latency(folder: Path, concurrency: list[int], requests: int) -> None:
    server = Server(folder, "pool.toml", "--running", "64")
    try:
        server.load(4, 12, first=10**6)
        for level in concurrency:
            count = max(requests, 10 * level)
            speed = [loop_seconds()]
            before = server.cpu()
            added = 1000 * (np.array(server.load(level, count)) - 2 * LATENCY)
            cpu = 1000 * (server.cpu() - before) / count
            speed.append(loop_seconds())
            median, p95, most = np.percentile(added, [50, 95, 100])
            print(
                f"{level} at once, {count} requests: added median {median:.1f} ms, 95% {p95:.1f} ms, most {most:.1f} "
                f"ms; server's CPU {cpu:.1f} ms a request; the fixed loop {speed[0]:.2f} and {speed[1]:.2f} s",
                flush=True,
            )
    finally:
        server.stop()


def measure_memory(folder: Path, requests: int, parts: int = 10) -> None:
    server = Server(folder, "quick.toml")
    try:
        sizes, before = [], server.cpu()
        for part in range(parts):
            server.load(8, requests // parts, first=part * requests)
            sizes.append(server.memory())
        cpu = 1000 * (server.cpu() - before) / requests
        shown = " ".join(f"{size:.1f}" for size in sizes)
        print(f"{requests} requests: resident MiB after each tenth {shown}; server's CPU {cpu:.1f} ms a request")
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--concurrency", type=int, action="append")
    parser.add_argument("--memory-requests", type=int, default=5000, help="0 leaves it out")
    parser.add_argument("--bank-questions", type=int, default=500)
    parser.add_argument("--generate", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    levels = arguments.concurrency or [1, 32]
    if arguments.generate:
        print(json.dumps(asyncio.run(generate(arguments.generate, levels[0], arguments.requests, arguments.first))))
        return
    with tempfile.TemporaryDirectory() as name:
        make_bank(Path(name), arguments.bank_questions)
        measure_latency(Path(name), levels, arguments.requests)
        if arguments.memory_requests:
            measure_memory(Path(name), arguments.memory_requests)


if __name__ == "__main__":
    main()
