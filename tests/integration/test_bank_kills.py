"""An evaluation that is killed twenty times comes out as one that nobody disturbed, and asks for nothing twice.

A run is ``smcs bank evaluate`` in a process of its own, ended by SIGKILL. What is promised: a call whose answer is
stored is never made again, and a worker asks for nothing new before its answer is stored. So a kill can cost the calls
that are under way at that moment, at most `max_concurrency` of each LLM, and nothing else.

The processes are forks of one that has the modules loaded already: twenty fresh interpreters would take twenty seconds.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from smcs.llms.simulated import Settings
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.testing.running import endpoint_thread

KILLS = 20
CONCURRENCY = {"strong": 4, "weak": 3}
QUESTIONS = [
    {
        "id": f"sum-{i}",
        "question": f"What is {i} + {i}?\n\nA. {i}\nB. {i + 1}\nC. {2 * i}\nD. {3 * i}\n\nEnd with: The answer is (X).",
        "options": [str(i), str(i + 1), str(2 * i), str(3 * i)],
        "answer": "C",
        "grader": "choice",
        "benchmark": "sums",
    }
    for i in range(2, 152)
]
POOL = """
[[llm]]
name = "{name}"
backend = "openai"
base_url = "{url}"
model = "{name}"
max_concurrency = {concurrency}
"""
EMBEDDER = """
[embedder]
backend = "tfidf"
"""
Key: TypeAlias = tuple[str, str]
"""An LLM's name and a question's text."""


def asked_of(endpoint: SimulatedEndpoint) -> list[Key]:
    """All calls so far, as they came."""
    return [(str(body["model"]), str(body["messages"][-1]["content"])) for body in list(endpoint.requests)]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[SimulatedEndpoint]:
    answers = tmp_path / "questions.jsonl"
    answers.write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS), encoding="utf-8")
    common: dict[str, Any] = {"backend": "simulated", "answers": answers, "latency_s": 0.01, "latency_sigma": 0.5}
    llms = Settings(name="strong", skill=0.9, **common), Settings(name="weak", skill=0.4, **common)
    with endpoint_thread(SimulatedEndpoint(*llms)) as running:
        parts = [POOL.format(name=n, url=running.base_url, concurrency=c) for n, c in CONCURRENCY.items()]
        (tmp_path / "pool.toml").write_text("".join(parts) + EMBEDDER, encoding="utf-8")
        yield running


def smcs(folder: Path, *arguments: str) -> None:
    """The command line, as the process runs it."""
    from smcs import cli

    with contextlib.chdir(folder):
        sys.exit(cli.run(["bank", *arguments, "--pool", "pool.toml", "-q"]))


def start(folder: Path, *arguments: str) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "smcs.cli._bank_evaluate", "smcs.llms.openai", "smcs.embedders.tfidf"])
    process = context.Process(target=smcs, args=(folder, *arguments))
    process.start()
    return process


def finish(folder: Path, *arguments: str) -> None:
    process = start(folder, *arguments)
    process.join(120)
    assert process.exitcode == 0


def test_killed_twenty_times(tmp_path: Path, endpoint: SimulatedEndpoint) -> None:
    for name in ("killed.bank", "whole.bank"):
        finish(tmp_path, "create", name, "--from", "questions.jsonl")
    killed, whole = tmp_path / "killed.bank", tmp_path / "whole.bank"
    rng = random.Random(0)
    total = len(QUESTIONS) * len(CONCURRENCY)
    stored_at_kill: list[tuple[int, dict[Key, Any]]] = []
    for kill in range(1, KILLS + 1):
        process = start(tmp_path, "evaluate", "killed.bank")
        wait_for_calls(killed, total * kill // (KILLS + 2), process)
        time.sleep(rng.random() * 0.02)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was killed at work"
        check_integrity(killed)
        seen = len(asked_of(endpoint))
        now = responses(killed)
        if stored_at_kill:
            assert stored_at_kill[-1][1].items() <= now.items(), "what was stored is as it was"
        stored_at_kill.append((seen, now))
    finish(tmp_path, "evaluate", "killed.bank")

    asked = asked_of(endpoint)
    assert len(asked) < 1000, "the endpoint remembers no more"
    for seen, stored in stored_at_kill:
        assert not stored.keys() & set(asked[seen:]), "no call was made again whose answer was stored"
    times = Counter(asked)
    assert len(times) == total
    assert len(asked) - total <= KILLS * sum(CONCURRENCY.values()), "no more was lost than what was under way"

    finish(tmp_path, "evaluate", "whole.bank")
    assert contents(killed) == contents(whole)
    assert len(responses(killed)) == total
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("killed.bank-")]


def wait_for_calls(bank: Path, count: int, process: ForkServerProcess) -> None:
    """Wait until so many calls are stored in all."""
    pause = threading.Event()
    while len(responses(bank)) < count:
        assert process.is_alive(), f"it ended with status {process.exitcode}"
        pause.wait(0.005)


@contextlib.contextmanager
def reading(bank: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{bank}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def check_integrity(bank: Path) -> None:
    with reading(bank) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def responses(bank: Path) -> dict[Key, Any]:
    """What every LLM answered to every question, as stored; without times."""
    with reading(bank) as connection:
        rows = connection.execute(
            "SELECT l.name, q.text, c.key, c.text, c.finish_reason, c.prompt_tokens, c.completion_tokens "
            "FROM responses r JOIN llms l ON l.seq = r.llm JOIN questions q ON q.seq = r.question "
            "JOIN calls c ON c.key = r.call"
        ).fetchall()
    return {(name, question): tuple(rest) for name, question, *rest in rows}


def contents(bank: Path) -> dict[str, list[Any]]:
    """All that a bank holds but for times and durations."""
    columns = {
        "questions": "seq, id, text, answer, grader, benchmark, split, system, options, meta",
        "embeddings": "question, vector",
        "llms": "seq, uid, name, backend, model",
        "settings": "digest, sampling, system, prompt_version",
        "calls": "key, llm, settings, sample, text, reasoning, finish_reason, logprobs, prompt_tokens, "
        "completion_tokens, cost_usd",
        "responses": "llm, question, call, graded, correct",
        "grades": "call, question, grader, version, correct, extracted, reason",
        "failures": "llm, question, kind",
    }
    with reading(bank) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {names} FROM {table}").fetchall(), key=repr)
            for table, names in columns.items()
        }
