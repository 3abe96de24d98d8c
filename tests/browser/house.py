"""A real server process over simulated LLMs, for the tests of the page: what they write is up to the test."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from smcs.cli import run
from smcs.llms.simulated import Settings
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.testing.running import endpoint_thread

NAMES = ("ada", "bert", "carl", "dora")
_WORDS = {"sums": "plus", "products": "times"}
_LLM = """
[[llm]]
name = "{name}"
backend = "openai"
base_url = "{url}"
model = "{name}"
max_retries = 0
price_prompt = 1.0
price_completion = 2.0
"""
_METHOD = """
[embedder]
backend = "tfidf"
[smcs]
k = 3
n_base = 6
n_aggregations = 3
lambda = 0
sampling = { max_tokens = 200 }
"""
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """The browser: what ``SMCS_CHROMIUM`` names, or the system's."""
    names = (os.environ.get("SMCS_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


class Endpoint:
    """A simulated endpoint in a thread of its own.

    Attributes:
        text: what every LLM writes instead of its own answer; None for its own.
        gate: while it is not set, every answer is held back.
    """

    def __init__(self) -> None:
        self.text: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self._running = ExitStack()
        llms = [
            Settings(name=name, backend="simulated", seed=i, skill=0.9 - 0.1 * i, answers=answers(), tokens=30)
            for i, name in enumerate(NAMES)
        ]
        self.simulated = SimulatedEndpoint(*llms, edit=self._edit)

    def __enter__(self) -> Endpoint:
        self._running.enter_context(endpoint_thread(self.simulated))
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._running.close()

    def _edit(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.gate.wait(60):
            raise RuntimeError("the test has forgotten to open the gate")
        if self.text is None or "choices" not in body:
            return body
        changed = copy.deepcopy(body)
        for choice in changed["choices"]:
            choice["message"]["content"], choice["logprobs"] = self.text, None
        return changed


def answers() -> dict[str, str]:
    """Questions and answers that the LLMs know."""
    return {row["question"]: row["answer"] for row in questions(range(2, 14))}


def questions(numbers: Sequence[int]) -> list[dict[str, str]]:
    """Rows of a questions file."""
    return [
        {
            "id": f"{kind}-{i}",
            "question": f"What is {i} {word} {i + 1}?",
            "answer": str(2 * i + 1 if word == "plus" else i * (i + 1)),
            "grader": "numeric",
            "benchmark": kind,
        }
        for i in numbers
        for kind, word in _WORDS.items()
    ]


def furnish(folder: Path, url: str) -> None:
    """Make a pool file, a bank and a results file of a comparison."""
    for name, numbers in (("bank", range(2, 10)), ("test", range(10, 14))):
        rows = [json.dumps(row) for row in questions(numbers)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    pool = folder / "pool.toml"
    pool.write_text("".join(_LLM.format(name=name, url=url) for name in NAMES) + _METHOD, encoding="utf-8")
    bank, where = str(folder / "my.bank"), ["--pool", str(pool)]
    files = ["--questions", str(folder / "test.jsonl"), "--results", str(folder / "results.db")]
    for arguments in (
        ["bank", "create", bank, "--from", str(folder / "bank.jsonl"), *where],
        ["bank", "evaluate", bank, *where, "-q"],
        ["eval", "--strategy", "smcs,majority,single:llm=ada", *where, "--bank", bank, "-q", *files],
    ):
        assert run(arguments) == 0, arguments


@contextmanager
def serving(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """A server process in the folder; gives its address, ending in a slash."""
    command = [sys.executable, "-m", "smcs", "serve", "--port", "0", *arguments]
    with (folder / "serve.log").open("w+") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http://" in line, (folder / "serve.log").read_text()
            yield line.split()[-1].removesuffix("v1")
        finally:
            process.terminate()
            process.communicate(timeout=60)
    told = (folder / "serve.log").read_text()
    assert "Traceback" not in told, told
