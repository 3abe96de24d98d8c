"""Answers of a pool whose endpoint fails at every tenth call: how many are well-formed, and how late the latest is.

Fifteen simulated LLMs are served by another process; 10% of its calls are refused (429), fail (500), break off, hang,
or give broken JSON or nothing. Every question has a deadline. With --through server the questions go to ``smcs serve``
in a process of its own, as ordinary chat completions.

    python benchmarks/faults.py [--questions 1000] [--at-once 16] [--deadline 4] [--through library|server]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np

from smcs import cli
from smcs.errors import NoAnswerError
from smcs.system import System
from smcs.testing.running import endpoint_process
from smcs.types import Limits

NAMES = [f"llm-{i}" for i in range(15)]
FAULTS = {
    "rate_limit": 0.02,
    "server_error": 0.02,
    "connection": 0.02,
    "hang": 0.01,
    "malformed": 0.015,
    "empty": 0.015,
}
WELL_FORMED = re.compile(r"\S[\s\S]*The answer is \d+\.$")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question: the answer's text, or the kind of error, and how long it took."""

    text: str | None
    error: str
    seconds: float
    cuts: int = 0


@contextlib.contextmanager
def endpoint(latency_s: float) -> Iterator[str]:
    """The simulated endpoint in a process of its own; its address."""
    options = ["--tokens", "20", "--latency", str(latency_s), "--latency-sigma", "0.3", "--retry-after", "0.1"]
    options += [part for name in NAMES for part in ("--llm", f"{name}:0.8")]
    options += [part for kind, rate in FAULTS.items() for part in ("--fault", f"{kind}={rate}")]
    with endpoint_process(*options) as url:
        yield url


def files(folder: Path, base_url: str) -> tuple[Path, Path]:
    """A pool file and a bank of simulated grades."""
    llms = "".join(
        f'[[llm]]\nname = "{name}"\nbackend = "openai"\nmodel = "{name}"\nbase_url = "{base_url}"\n' for name in NAMES
    )
    pool, bank, rows = folder / "pool.toml", folder / "my.bank", folder / "questions.jsonl"
    pool.write_text(f"{llms}\n[smcs]\nsampling = {{ max_tokens = 100 }}\n", encoding="utf-8")
    # The bank is evaluated by simulated LLMs of the same names that do not fail.
    well = "".join(
        f'[[llm]]\nname = "{name}"\nbackend = "simulated"\nanswers = "{rows.name}"\nskill = {0.5 + 0.03 * i}\n'
        for i, name in enumerate(NAMES)
    )
    evaluated = folder / "well.toml"
    evaluated.write_text(well, encoding="utf-8")
    lines = [
        {"id": str(i), "question": f"What is {i} plus 7?", "answer": str(i + 7), "grader": "numeric"}
        for i in range(100)
    ]
    rows.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    for arguments in (["create", str(bank), "--from", str(rows)], ["evaluate", str(bank), "--pool", str(evaluated)]):
        if cli.run(["bank", *arguments]):
            raise SystemExit("the bank could not be made")
    return pool, bank


class Library:
    """Asks through `System.ask`."""

    def __init__(self, system: System, deadline_s: float) -> None:
        self._system, self._limits = system, Limits(seconds=deadline_s)

    async def ask(self, i: int) -> Outcome:
        """Ask one question."""
        begin = time.monotonic()
        try:
            answer = await self._system.ask(f"What is {i} plus 19?", seed=i, limits=self._limits)
        except NoAnswerError as error:
            return Outcome(None, type(error).__name__, time.monotonic() - begin)
        written = [r.completion.text for r in answer.trace.referencers if r.completion]
        written += [a.completion.text for a in answer.trace.aggregations if a.completion]
        text = answer.text if answer.text in written else "(invented)"
        return Outcome(text, "", time.monotonic() - begin, len(answer.trace.cuts))


class Server:
    """Asks ``smcs serve``."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, deadline_s: float) -> None:
        self._session, self._url, self._deadline_s = session, f"{base_url}/chat/completions", deadline_s

    async def ask(self, i: int) -> Outcome:
        """Ask one question."""
        body = {
            "model": "smcs",
            "messages": [{"role": "user", "content": f"What is {i} plus 19?"}],
            "seed": i,
            "smcs": {"deadline_s": self._deadline_s},
        }
        begin = time.monotonic()
        async with self._session.post(self._url, json=body) as response:
            answer = await response.json()
        seconds = time.monotonic() - begin
        if response.status != 200:
            return Outcome(None, f"{response.status} {answer['error'].get('code')}", seconds)
        cuts = len(answer.get("smcs", {}).get("cuts", ()))
        return Outcome(answer["choices"][0]["message"]["content"], "", seconds, cuts)


@contextlib.asynccontextmanager
async def asking(arguments: argparse.Namespace, pool: Path, bank: Path) -> AsyncIterator[Library | Server]:
    """Whom to ask."""
    if arguments.through == "library":
        async with await System.open(pool, bank) as system:
            yield Library(system, arguments.deadline)
        return
    command = [sys.executable, "-m", "smcs", "serve", "--pool", str(pool), "--bank", str(bank), "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Server(session, line.split()[-1].removesuffix("/v1") + "/v1", arguments.deadline)
    finally:
        process.terminate()
        await process.wait()


async def run(arguments: argparse.Namespace, pool: Path, bank: Path) -> list[Outcome]:
    """All questions, so many at once."""
    numbers = iter(range(arguments.questions))
    outcomes: list[Outcome] = []
    async with asking(arguments, pool, bank) as asked:

        async def work() -> None:
            while (i := next(numbers, None)) is not None:
                outcomes.append(await asked.ask(i))

        await asked.ask(10**6)  # what is loaded once
        await asyncio.gather(*(work() for _ in range(arguments.at_once)))
    return outcomes


def report(outcomes: list[Outcome], deadline_s: float) -> str:
    """The figures in words."""
    well = sum(o.text is not None and WELL_FORMED.search(o.text) is not None for o in outcomes)
    bad = [o.text for o in outcomes if o.text is not None and not WELL_FORMED.search(o.text)]
    late = np.array([o.seconds - deadline_s for o in outcomes])
    p50, p95 = np.percentile([o.seconds for o in outcomes], [50, 95])
    errors = Counter(o.error for o in outcomes if o.error)
    return (
        f"{len(outcomes)} questions, {sum(FAULTS.values()):.0%} of calls fail, deadline {deadline_s:g} s: "
        f"{well} well-formed ({well / len(outcomes):.2%}), {len(bad)} empty or invented, errors {dict(errors)}; "
        f"{sum(o.cuts > 0 for o in outcomes)} answers with cuts; median {p50:.2f} s, p95 {p95:.2f} s, latest "
        f"{late.max():+.2f} s against its deadline, {int((late > 0.5).sum())} later than 0.5 s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--deadline", type=float, default=4.0)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--through", choices=["library", "server"], default="library")
    arguments = parser.parse_args()
    with endpoint(arguments.latency) as base_url, tempfile.TemporaryDirectory() as folder:
        pool, bank = files(Path(folder), base_url)
        outcomes = asyncio.run(run(arguments, pool, bank))
    print(f"through the {arguments.through}, {arguments.at_once} at once: {report(outcomes, arguments.deadline)}")


if __name__ == "__main__":
    main()
