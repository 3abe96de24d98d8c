"""``smcs bank`` as a user runs it, against simulated LLMs: output, wrong input, Ctrl-C, and kills at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smcs import cli
from smcs.bank import load_bank, open_bank
from smcs.bank.tables import summary
from smcs.testing.running import endpoint_process

LETTERS = "ABCD"
QUESTIONS = [
    {
        "id": f"sum-{i}",
        "question": f"What is {i} + {i}?\n\nA. {i}\nB. {i + 1}\nC. {2 * i}\nD. {3 * i}\n\nEnd with: The answer is (X).",
        "options": [str(i), str(i + 1), str(2 * i), str(3 * i)],
        "answer": "C",
        "grader": "choice",
        "benchmark": "even" if i % 2 == 0 else "odd",
    }
    for i in range(2, 82)
]
POOL = """
[[llm]]
name = "strong"
backend = "openai"
base_url = "{url}"
model = "strong"
max_concurrency = 4
price_prompt = 1.0
price_completion = 2.0
[[llm]]
name = "weak"
backend = "openai"
base_url = "{url}"
model = "weak"
max_concurrency = 3
[embedder]
backend = "openai"
base_url = "{url}"
model = "embedder"
"""


class Shell:
    """Runs the command line in a folder of its own: in this process, or where signals matter in another."""

    def __init__(self, folder: Path, url: str, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.url = url
        self._capture = capture
        self.write("questions.jsonl", "".join(json.dumps(q) + "\n" for q in QUESTIONS))
        self.write("pool.toml", POOL.format(url=url))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "smcs", "bank", *arguments]
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, text=True, **streams)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self._capture.readouterr()
        with contextlib.chdir(self.folder):
            status = cli.run(["bank", *arguments])
        captured = self._capture.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return subprocess.CompletedProcess(arguments, status, captured.out, captured.err)

    def ok(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self) -> set[str]:
        return {p.name for p in self.folder.iterdir()}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("endpoint")
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS), encoding="utf-8")
    options = ["--answers", "questions.jsonl", "--llm", "strong:0.95", "--llm", "weak:0.3", "--latency", "0.05"]
    with endpoint_process(*options, folder=folder) as address:
        yield address


@pytest.fixture
def shell(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, url, capsys)


@pytest.fixture
def bank(shell: Shell) -> Path:
    shell.ok("create", "my.bank", "--from", "questions.jsonl", "--pool", "pool.toml", "--limit", "12", "-q")
    return shell.folder / "my.bank"


class TestWalkThrough:
    def test_create_evaluate_show_add_rename_grade(self, shell: Shell) -> None:
        made = shell.ok("create", "my.bank", "--from", "questions.jsonl", "--pool", "pool.toml", "--limit", "10")
        assert "10 questions" in made
        assert shell.files() == {"questions.jsonl", "pool.toml", "my.bank"}
        assert "No LLM has been evaluated yet" in shell.ok("show", "my.bank")

        planned = shell.ok("evaluate", "my.bank", "--pool", "pool.toml", "--dry-run")
        assert "20 calls" in planned
        assert "Nothing was called" in planned
        assert load_bank(shell.folder / "my.bank").llms == ()

        done = shell.ok("evaluate", "my.bank", "--pool", "pool.toml")
        assert "20 answers" in done
        assert shell.files() == {"questions.jsonl", "pool.toml", "my.bank"}
        shown = shell.ok("show", "my.bank")
        for part in ("strong", "weak", "even (5)", "odd (5)", "all (10)", "±", "10/10"):
            assert part in shown
        held = json.loads(shell.ok("show", "my.bank", "--json"))
        assert held["questions"] == 10
        total = {llm["name"]: llm["total"] for llm in held["llms"]}
        assert total["strong"]["accuracy"] > total["weak"]["accuracy"]
        assert total["weak"]["standard_error"] > 0
        assert held["llms"][0]["usage"]["cost_usd"] > 0
        assert held["llms"][1]["usage"]["cost_usd"] is None

        assert "nothing" not in shell.ok("add", "my.bank", "--from", "questions.jsonl", "--pool", "pool.toml", "-q")
        assert len(load_bank(shell.folder / "my.bank")) == len(QUESTIONS)
        one = json.loads(shell.ok("evaluate", "my.bank", "--pool", "pool.toml", "--llm", "weak", "--json"))
        assert [(llm["name"], llm["answered_before"]) for llm in one["llms"]] == [("weak", 10)]
        assert one["complete"]

        shell.ok("rename", "my.bank", "weak", "frail")
        assert load_bank(shell.folder / "my.bank").llms == ("strong", "frail")
        assert "0 responses graded" in shell.ok("grade", "my.bank")
        question = shell.ok("show", "my.bank", "--question", "sum-2")
        assert "What is 2 + 2?" in question
        assert "--- strong: " in question
        answers = json.loads(shell.ok("show", "my.bank", "--question", "sum-2", "--json"))["responses"]
        assert {a["llm"] for a in answers} == {"strong", "frail"}
        assert all(a["text"] and a["correct"] in (0, 1) for a in answers)

    def test_a_budget_stops_cleanly_and_says_how_to_go_on(self, shell: Shell, bank: Path) -> None:
        done = shell("evaluate", "my.bank", "--pool", "pool.toml", "--llm", "strong", "--budget-usd", "0.002")
        assert done.returncode == 0
        assert "stopped before the budget would be exceeded" in done.stdout
        assert "goes on from here" in done.stdout
        with open_bank(bank) as store:
            usage = summary(store).llms[0].usage
        assert 0 < usage.calls < 12
        assert usage.cost_usd is not None
        assert usage.cost_usd <= 0.002

    def test_failed_calls_give_status_1_and_are_made_again(self, shell: Shell, bank: Path) -> None:
        shell.write("down.toml", POOL.format(url="http://127.0.0.1:9/v1").replace("name =", "max_retries = 0\nname ="))
        done = shell("evaluate", "my.bank", "--pool", "down.toml", "--llm", "weak")
        assert done.returncode == 1
        assert "connection_failed" in done.stdout
        assert "the next run makes them again" in done.stdout
        assert not load_bank(bank).observed.any()
        shell.ok("evaluate", "my.bank", "--pool", "pool.toml", "--llm", "weak")
        assert load_bank(bank).observed.all()

    def test_lines_that_cannot_be_used(self, shell: Shell) -> None:
        shell.write("bad.jsonl", json.dumps(QUESTIONS[0]) + '\n{"id": "x"}\n')
        arguments = ["create", "b.bank", "--from", "bad.jsonl", "--pool", "pool.toml"]
        before = shell.files()
        done = shell(*arguments)
        assert done.returncode == 2
        assert "bad.jsonl:2: 'question' is missing" in done.stderr
        assert shell.files() == before
        done = shell(*arguments, "--on-error", "skip")
        assert done.returncode == 0
        assert "left out: bad.jsonl:2" in done.stderr
        assert len(load_bank(shell.folder / "b.bank")) == 1


WRONG = [
    (["create", "b.bank"], 2, "--from"),
    (["create", "b.bank", "--from", "none.jsonl"], 2, "there is no questions file none.jsonl"),
    (["create", "b.bank", "--from", "no-such-benchmark"], 2, "unknown benchmark 'no-such-benchmark'"),
    (["create", "my.bank", "--from", "questions.jsonl"], 1, "my.bank is there already"),
    (["create", "no/b.bank", "--from", "questions.jsonl"], 1, "there is no folder no"),
    (["create", "b.bank", "--from", "questions.jsonl", "--limit", "0"], 2, "--limit"),
    (["create", "b.bank", "--from", "questions.jsonl", "--split", "tset"], 2, "none of split 'tset'"),
    (["create", "b.bank", "--from", "questions.jsonl", "--pool", "none.toml"], 2, "there is no pool file none.toml"),
    (["evaluate", "none.bank"], 2, "there is no bank none.bank"),
    (["evaluate", "questions.jsonl", "--pool", "pool.toml"], 1, "questions.jsonl is not a question bank"),
    (["evaluate", "my.bank", "--pool", "pool.toml", "--llm", "wek"], 2, "no LLM 'wek'; did you mean 'weak'"),
    (["evaluate", "my.bank", "--pool", "pool.toml", "--budget-usd", "1"], 2, "needs the prices of weak"),
    (["evaluate", "my.bank", "--pool", "pool.toml", "--dry-run", "--budget-usd", "1"], 2, "needs the prices of weak"),
    (["evaluate", "my.bank", "--pool", "pool.toml", "--temperature", "-1"], 2, "--temperature"),
    (["add", "my.bank", "--from", "changed.jsonl", "--pool", "pool.toml"], 2, "the id 'sum-2' is taken already"),
    (["add", "my.bank", "--from", "new.jsonl", "--pool", "other.toml"], 1, "embedded by 'openai/embedder'"),
    (["show", "none.bank"], 2, "there is no bank none.bank"),
    (["show", "newer.bank"], 1, "update smcs"),
    (["show", "my.bank", "--question", "sum-999"], 2, "no question 'sum-999'"),
    (["rename", "my.bank", "nobody", "x"], 1, "no LLM 'nobody'"),
    (["shwo"], 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_wrong_input_ends_in_one_clear_message(
    shell: Shell, bank: Path, arguments: list[str], status: int, message: str
) -> None:
    shell.write("changed.jsonl", json.dumps({**QUESTIONS[0], "answer": "A"}))
    shell.write("new.jsonl", json.dumps({**QUESTIONS[0], "id": "new"}))
    shell.write("other.toml", POOL.format(url=shell.url).replace('"embedder"', '"other"'))
    newer = shell.folder / "newer.bank"
    newer.write_bytes(bank.read_bytes())
    connection = sqlite3.connect(newer)
    with connection:
        connection.execute("UPDATE bank SET value = '99' WHERE key = 'version'")
    connection.close()
    before, content = shell.files(), dump(bank)
    done = shell(*arguments)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert shell.files() == before
    assert dump(bank) == content


def test_ctrl_c_keeps_what_was_answered_and_says_how_to_go_on(shell: Shell, bank: Path) -> None:
    slow = POOL.format(url=shell.url).replace("max_concurrency = 4", "max_concurrency = 1")
    shell.write("slow.toml", slow)
    process = shell.start("evaluate", "my.bank", "--pool", "slow.toml", "--llm", "strong")
    wait_for_calls(bank, 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "the same command goes on from here" in err
    assert shell.files() >= {"my.bank"}
    assert not any(name.startswith("my.bank-") for name in shell.files()), "the bank is one file again"
    kept = stored_calls(bank)
    assert 2 <= kept <= 12
    done = json.loads(shell.ok("evaluate", "my.bank", "--pool", "slow.toml", "--llm", "strong", "--json"))
    assert done["llms"][0]["answered_before"] == kept
    assert load_bank(bank).observed.all()


def test_a_second_run_is_told_so_and_the_first_goes_on(shell: Shell, bank: Path) -> None:
    shell.write("slow.toml", POOL.format(url=shell.url).replace("max_concurrency = 4", "max_concurrency = 1"))
    first = shell.start("evaluate", "my.bank", "--pool", "slow.toml")
    wait_for_calls(bank, 1, first)
    first.send_signal(signal.SIGSTOP)
    try:
        second = shell("evaluate", "my.bank", "--pool", "slow.toml")
        assert second.returncode == 1
        assert "another run is evaluating" in second.stderr
        assert "my.bank" in shell.ok("show", "my.bank")
    finally:
        first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert load_bank(bank).observed.all()


def test_killed_at_any_moment_nothing_answered_is_lost_or_called_again(shell: Shell) -> None:
    kills, concurrency = int(os.environ.get("SMCS_TEST_KILLS", "3")), 7
    arguments = ["--from", "questions.jsonl", "--pool", "pool.toml", "-q"]
    shell.ok("create", "killed.bank", *arguments)
    shell.ok("create", "whole.bank", *arguments)
    killed = shell.folder / "killed.bank"
    calls_before = endpoint_calls(shell.url)
    rng = random.Random(0)
    stored: dict[tuple[str, str], tuple[Any, ...]] = {}
    total = 2 * len(QUESTIONS)
    for kill in range(kills):
        process = shell.start("evaluate", "killed.bank", "--pool", "pool.toml", "-q")
        wait_for_calls(killed, min(total, (kill + 1) * total // (kills + 1)), process)
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = responses(killed)
        assert stored.items() <= now.items(), "what was stored is as it was"
        stored = now
    shell.ok("evaluate", "killed.bank", "--pool", "pool.toml", "-q")
    made = endpoint_calls(shell.url) - calls_before
    # Only calls that were under way at a kill can have been made again.
    assert total <= made <= total + kills * concurrency
    shell.ok("evaluate", "whole.bank", "--pool", "pool.toml", "-q")
    assert responses(killed) == responses(shell.folder / "whole.bank")
    assert Counter(llm for llm, _ in responses(killed)) == {"strong": len(QUESTIONS), "weak": len(QUESTIONS)}
    assert (load_bank(killed).capability == load_bank(shell.folder / "whole.bank").capability).all()
    assert not [name for name in shell.files() if name.startswith("killed.bank-")]


def dump(bank: Path) -> list[str]:
    """All that a bank holds."""
    connection = sqlite3.connect(f"file:{bank}?mode=ro", uri=True)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def stored_calls(bank: Path) -> int:
    connection = sqlite3.connect(f"file:{bank}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])
    finally:
        connection.close()


def wait_for_calls(bank: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has stored so many calls in all."""
    pause = threading.Event()
    while stored_calls(bank) < count:
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        pause.wait(0.01)


def responses(bank: Path) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What every LLM answered to every question, as stored; without times."""
    connection = sqlite3.connect(f"file:{bank}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT l.name, q.id, c.key, c.text, c.finish_reason, c.prompt_tokens, c.completion_tokens, c.cost_usd "
            "FROM responses r JOIN llms l ON l.seq = r.llm JOIN questions q ON q.seq = r.question "
            "JOIN calls c ON c.key = r.call"
        ).fetchall()
    finally:
        connection.close()
    return {(name, question): tuple(rest) for name, question, *rest in rows}


def endpoint_calls(url: str) -> int:
    """How many calls the endpoint has had, those for embeddings included."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return int(json.load(answer)["calls"])
