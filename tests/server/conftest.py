"""A real server in a process of its own, over simulated LLMs, and the official client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.process import Server

from smcs import cli

QUESTIONS = [
    {
        "id": f"sum-{i}",
        "question": f"What is {i} + {i}? Finish with: The answer is X.",
        "answer": str(2 * i),
        "grader": "numeric",
        "benchmark": "sums" if i % 2 else "instructions",
    }
    for i in range(1, 13)
]
POOL = """
[[llm]]
name = "strong"
backend = "simulated"
skill = 0.95
answers = "questions.jsonl"
price_prompt = 1.0
price_completion = 2.0
[[llm]]
name = "weak"
backend = "simulated"
skill = 0.2
answers = "questions.jsonl"
[[llm]]
name = "org/middling:7b"
backend = "simulated"
skill = 0.6
answers = "questions.jsonl"
[embedder]
backend = "tfidf"
[smcs]
k = 3
n_base = 4
n_aggregations = 3
aggregator = "strong"
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pool file and an evaluated bank."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS), encoding="utf-8")
    (folder / "pool.toml").write_text(POOL, encoding="utf-8")
    pool, bank = str(folder / "pool.toml"), str(folder / "my.bank")
    create = ["bank", "create", bank, "--from", str(folder / "questions.jsonl"), "--pool", pool]
    assert cli.run([*create, "--quiet"]) == 0
    assert cli.run(["bank", "evaluate", bank, "--pool", pool, "--quiet"]) == 0
    return folder


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Server]:
    """One server for all tests that leave it as it is."""
    with Server(folder) as server:
        yield server


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with other options; they are stopped at the end."""
    started: list[Server] = []

    def start(*arguments: str, **options: Any) -> Server:
        started.append(Server(folder, *arguments, **options))
        return started[-1]

    yield start
    for server in started:
        server.__exit__()
