"""``smcs eval`` as a user runs it, against simulated LLMs: output, wrong input, Ctrl-C, and kills at any moment."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from smcs import registry
from smcs.cli import run

QUESTIONS = [
    {
        "id": f"{kind}-{i}",
        "question": f"What is {i} {word} {i + 1}?",
        "answer": str(i * (i + 1) if word == "times" else 2 * i + 1),
        "grader": "numeric",
        "benchmark": kind,
    }
    for i in range(2, 26)
    for kind, word in (("sums", "plus"), ("products", "times"))
]
LLM = """
[[llm]]
name = "{name}"
backend = "simulated"
seed = {seed}
skill = {skill}
answers = "questions.jsonl"
latency_s = 0.02
price_prompt = 1.0
price_completion = 2.0
"""
STRATEGIES = "smcs:k=2,majority,moa,self-consistency:n=3"


class Shell:
    """Runs the command line in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lines = [json.dumps(q) + "\n" for q in QUESTIONS]
        self.write("questions.jsonl", "".join(lines))
        self.write("bank.jsonl", "".join(lines[:24]))
        self.write("test.jsonl", "".join(lines[24:]))
        llms = [LLM.format(name=n, seed=i, skill=0.8 - 0.2 * i) for i, n in enumerate(["one", "two", "three"])]
        method = '[embedder]\nbackend = "tfidf"\n[smcs]\nk = 3\nn_aggregations = 3\nsampling = { max_tokens = 200 }\n'
        self.write("pool.toml", "".join([*llms, method]))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "smcs", *arguments]
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, text=True, **streams)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def ok(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def eval_arguments(self, results: str, *more: str, strategies: str = STRATEGIES) -> list[str]:
        where = ["--pool", "pool.toml", "--bank", "my.bank", "--questions", "test.jsonl", "--results", results]
        return ["eval", "--strategy", strategies, *where, *more]

    def calls(self, results: str) -> int:
        with sqlite3.connect(self.folder / results, timeout=60) as db:
            (count,) = db.execute("SELECT count(*) FROM calls").fetchone()
        db.close()
        return int(count)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("eval"))
    shell.ok("bank", "create", "my.bank", "--from", "bank.jsonl", "--pool", "pool.toml", "-q")
    shell.ok("bank", "evaluate", "my.bank", "--pool", "pool.toml", "-q")
    return shell


@pytest.fixture(scope="module")
def whole(shell: Shell) -> dict[str, Any]:
    """What a run gives that nobody interrupts."""
    made: dict[str, Any] = json.loads(shell.ok(*shell.eval_arguments("whole.db", "--json")))
    assert made["run"]["complete"]
    return made


def comparable(made: dict[str, Any]) -> Any:
    """A report without what depends on the clock."""
    rows = [{k: v for k, v in row.items() if not k.startswith("latency")} for row in made["strategies"]]
    return rows, made["pairs"], made["benchmarks"]


class TestWalkThrough:
    def test_dry_run_then_run_then_report(self, shell: Shell, whole: dict[str, Any]) -> None:
        planned = shell.ok(*shell.eval_arguments("new.db", "--dry-run"))
        assert "Nothing was called." in planned
        assert not (shell.folder / "new.db").exists()
        assert whole["benchmarks"] == {"products": 12, "sums": 12}
        assert [row["label"] for row in whole["strategies"]] == STRATEGIES.split(",")
        assert len(whole["pairs"]) == 6
        assert whole["run"]["calls"] == shell.calls("whole.db")

        again = shell(*shell.eval_arguments("whole.db", "--out", "report"))
        assert again.returncode == 0
        assert "0 calls made" in again.stdout
        assert "majority" in again.stdout
        assert {"report.html", "report.md", "report.tex", "report.csv"} <= {
            p.name for p in (shell.folder / "report").iterdir()
        }
        assert not [p.name for p in shell.folder.iterdir() if p.name.startswith("whole.db-")]

    def test_the_dry_run_foretells_the_calls(self, shell: Shell, whole: dict[str, Any]) -> None:
        arguments = shell.eval_arguments("new.db", "--dry-run", "--json", strategies="majority,moa")
        planned = json.loads(shell.ok(*arguments))
        assert planned["calls"] == 24 * (3 + 1)
        done = json.loads(shell.ok(*shell.eval_arguments("whole.db", "--dry-run", "--json")))
        assert (done["calls"], done["answers"]) == (0, 0)

    def test_one_strategy_for_each_llm(self, shell: Shell) -> None:
        text = shell.ok(*shell.eval_arguments("single.db", "--limit", "3", strategies="single:llm=*"))
        assert all(f"single:llm={name}" in text for name in ("one", "two", "three"))

    def test_tested_questions_do_not_count_in_the_bank(self, shell: Shell) -> None:
        arguments = ["eval", "--strategy", "router", "--pool", "pool.toml", "--bank", "my.bank", "--results", "leak.db"]
        done = shell(*arguments, "--questions", "questions.jsonl", "--limit", "1")
        assert done.returncode == 1
        assert "all 24 questions of the bank are among the tested ones" in done.stderr


class TestStopping:
    def test_killed_at_any_instant_it_goes_on(self, shell: Shell, whole: dict[str, Any]) -> None:
        rng = random.Random(0)
        for attempt in range(3):
            process = shell.start(*shell.eval_arguments("killed.db", "--json"))
            target = rng.randint(10, 60) * (attempt + 1)
            self.wait_for_calls(shell, process, "killed.db", target)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        kept = shell.calls("killed.db")
        assert kept > 0
        made = json.loads(shell.ok(*shell.eval_arguments("killed.db", "--json")))
        assert kept + made["run"]["calls"] == whole["run"]["calls"]
        assert comparable(made) == comparable(whole)

    def test_ctrl_c_is_one_message_and_loses_nothing(self, shell: Shell, whole: dict[str, Any]) -> None:
        process = shell.start(*shell.eval_arguments("interrupted.db"))
        self.wait_for_calls(shell, process, "interrupted.db", 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert "the same command goes on from here" in err
        kept = shell.calls("interrupted.db")
        made = json.loads(shell.ok(*shell.eval_arguments("interrupted.db", "--json")))
        assert kept + made["run"]["calls"] == whole["run"]["calls"]
        assert comparable(made) == comparable(whole)

    def test_a_budget_stops_it(self, shell: Shell) -> None:
        done = shell(*shell.eval_arguments("budget.db", "--budget-usd", "0.01", "--json"))
        made = json.loads(done.stdout)
        assert done.returncode == 1
        assert made["run"]["stopped"] == "the budget is used up"
        assert 0 < made["run"]["cost_usd"] <= 0.01

    def wait_for_calls(self, shell: Shell, process: subprocess.Popen[str], results: str, count: int) -> None:
        deadline = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < deadline:
            if (shell.folder / results).exists():
                try:
                    if shell.calls(results) >= count:
                        return
                except sqlite3.Error:
                    pass  # its tables are not there yet
            time.sleep(0.02)


class TestWrongInput:
    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["--strategy", "majorty", "--questions", "test.jsonl"], 2, "did you mean 'majority'"),
            (["--strategy", "moa:layer=2", "--questions", "test.jsonl"], 2, "did you mean 'layers'"),
            (["--strategy", "smcs:k=9", "--questions", "test.jsonl"], 2, "k = 9 referencers are more than"),
            (["--strategy", "single:llm=four", "--questions", "test.jsonl"], 2, "has no LLM 'four'"),
            (["--strategy", "majority"], 2, "no questions"),
            (["--strategy", "majority", "--benchmark", "mmlu"], 2, "unknown benchmark 'mmlu'"),
            (["--strategy", "majority", "--questions", "none.jsonl"], 2, "there is no questions file"),
            (["--strategy", "majority", "--questions", "test.jsonl", "--out", "r.pdf"], 2, "'.pdf' is not known"),
            (["--strategy", "majority", "--questions", "test.jsonl", "--results", "pool.toml"], 1, "no results file"),
            (["--strategy", "majority", "--questions", "test.jsonl", "--bank", "pool.toml"], 1, "not a question bank"),
        ],
    )
    def test_is_one_clear_message(
        self,
        shell: Shell,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        status: int,
        message: str,
    ) -> None:
        monkeypatch.chdir(shell.folder)
        defaults = {"--pool": "pool.toml", "--bank": "my.bank", "--results": "wrong.db"}
        given = [part for name, value in defaults.items() if name not in arguments for part in (name, value)]
        assert run(["eval", *arguments, *given]) == status
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.out == ""
        assert not (shell.folder / "wrong.db.lock").exists()


class TestAsk:
    @pytest.mark.parametrize("strategy", registry.names("strategies"))
    def test_any_strategy_can_answer_and_explain_itself(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], strategy: str
    ) -> None:
        monkeypatch.chdir(shell.folder)
        spec = f"{strategy}:least_questions=1:trial_questions=1" if strategy == "symbolic-moe" else strategy
        arguments = ["ask", "What is 3 plus 4?", "--pool", "pool.toml", "--bank", "my.bank", "--strategy", spec]
        assert run([*arguments, "--explain"]) == 0
        explained = capsys.readouterr()
        assert "The answer is" in explained.out
        assert "References, best prior first" in explained.out
        assert "nan" not in explained.out
        assert run([*arguments, "--json", "-q"]) == 0
        made = json.loads(capsys.readouterr().out)
        assert explained.out.startswith(made["answer"])
        assert made["trace"]["referencers"]

    def test_wrong_strategies(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(shell.folder)
        for strategy, message in (("moe", "unknown strategy"), ("majority,moa", "one strategy answers")):
            assert run(["ask", "q", "--pool", "pool.toml", "--bank", "my.bank", "--strategy", strategy]) == 2
            assert message in capsys.readouterr().err
