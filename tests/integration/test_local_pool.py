"""The main job with real LLMs: the starter pool answers with the starter bank, in process."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import smcs
from smcs.bank import load_bank
from smcs.system import load_pool, starter_bank

pytestmark = [pytest.mark.weights, pytest.mark.timeout(900)]
SHORT = ["--set", "sampling.max_tokens=48", "--set", "aggregation_sampling.max_tokens=48"]
QUESTION = "What is the capital of France? Finish with: The answer is X."


@pytest.fixture(autouse=True)
def _weights(weights_of: Callable[[str], Path]) -> None:
    for name in [*dict.fromkeys(name.removesuffix("-brief") for name in load_pool().names), "minilm"]:
        weights_of(name)


def run(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smcs", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def test_ask() -> None:
    done = run("ask", "--json", "--seed", "1", *SHORT, QUESTION)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    trace = answer["trace"]
    assert "Paris" in answer["answer"]
    assert len({r["llm"] for r in trace["referencers"] if r["text"]}) >= 3
    assert len([a for a in trace["aggregations"] if a["text"]]) >= 3
    assert all(a["perplexity"] >= 1 and -1 <= a["similarity"] <= 1 for a in trace["aggregations"])
    assert trace["aggregations"][trace["winner"]]["score"] == max(a["score"] for a in trace["aggregations"])
    assert any(s["benchmark"] == "knowledge" for s in trace["support"])
    assert answer["usage"]["cost_usd"] == 0
    assert answer["usage"]["completion_tokens"] > 0
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert kibibytes < 6 * 2**20


def test_the_library_does_what_the_command_does() -> None:
    settings = {"n_aggregations": 2, "sampling": {"max_tokens": 16}, "aggregation_sampling": {"max_tokens": 16}}
    answer = smcs.ask("What colour is the sky on a clear day? One word.", settings=settings, seed=2)
    assert "blue" in answer.text.lower()
    assert len(answer.trace.aggregations) == 2


def test_a_question_longer_than_every_context() -> None:
    done = run("ask", "word " * 6000)
    assert done.returncode == 2
    assert "too long for every LLM of the pool" in done.stderr
    assert done.stdout == ""


def test_ctrl_c_while_llms_generate() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "smcs", "ask", "Write a long story about a lighthouse."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("aggregator:"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.rstrip().endswith("smcs: interrupted")
    assert "Traceback" not in err
    assert out == ""


def test_the_starter_bank_is_of_the_starter_pool() -> None:
    bank, pool = load_bank(starter_bank()), load_pool()
    assert set(pool.names) <= set(bank.llms)
    assert bank.observed.any(axis=1).all()
    accuracy = bank.select(pool.names).accuracy()
    assert accuracy.max() - accuracy.min() > 0.3, "the starter LLMs differ in strength"
    assert starter_bank().stat().st_size < 5_000_000
