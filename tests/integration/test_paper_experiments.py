"""The paper's tables and figures as a user runs them: on a simulated pool, and in the paper's setting on endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from smcs.cli import run
from smcs.experiments import paper_setting
from smcs.llms import simulated
from smcs.system import load_pool
from smcs.testing.endpoint import SimulatedEndpoint
from smcs.testing.running import endpoint_thread

QUESTIONS = [
    {
        "id": f"{kind}-{i}",
        "question": f"What is {i} {word} {i + 1}?",
        "answer": str(i * (i + 1) if word == "times" else 2 * i + 1),
        "grader": "numeric",
        "benchmark": kind,
    }
    for i in range(2, 30)
    for kind, word in (("mbpp", "plus"), ("mmlu_pro", "times"))
]
POOL = Path(__file__).parents[2] / "pools" / "paper15.toml"
LLM = """
[[llm]]
name = "{name}"
backend = "simulated"
seed = {seed}
skill = {skill}
answers = "questions.jsonl"
price_prompt = 1.0
price_completion = 2.0
"""
SMALL = '[embedder]\nbackend = "tfidf"\n[smcs]\nk = 2\nn_aggregations = 2\nsampling = { max_tokens = 120 }\n'


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def write_questions(folder: Path) -> None:
    lines = [json.dumps(question) + "\n" for question in QUESTIONS]
    (folder / "questions.jsonl").write_text("".join(lines))
    (folder / "bank.jsonl").write_text("".join(lines[:40]))
    (folder / "test.jsonl").write_text("".join(lines[40:]))


def make_bank(pool: str) -> None:
    assert run(["bank", "create", "my.bank", "--from", "bank.jsonl", "--pool", pool, "-q"]) == 0
    assert run(["bank", "evaluate", "my.bank", "--pool", pool, "-q"]) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated pool, a bank, questions, and the results of a comparison that ``smcs eval`` has made."""
    made = tmp_path_factory.mktemp("experiments")
    write_questions(made)
    llms = [LLM.format(name=name, seed=i, skill=0.9 - 0.2 * i) for i, name in enumerate(["one", "two", "three"])]
    (made / "pool.toml").write_text("".join([*llms, SMALL]))
    with inside(made):
        make_bank("pool.toml")
        strategies = "smcs,smcs:drop=none,smcs:drop=random"
        assert run(["eval", "--strategy", strategies, *on("results.db"), "-q"]) == 0
    return made


def on(results: str) -> list[str]:
    questions = ["--questions", "test.jsonl", "--limit", "4"]
    return ["--pool", "pool.toml", "--bank", "my.bank", *questions, "--results", results]


@pytest.fixture
def at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def made_by(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["experiment", *arguments, "--json"]) == status, capsys.readouterr().err
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


class TestLive:
    @pytest.mark.parametrize(
        ("name", "labels"),
        [
            ("table1", {"one", "average of the LLMs", "moa", "majority", "best LLM on each benchmark", "smcs"}),
            ("table2", {"single (best over the bank)", "moa", "smcs"}),
            ("table3", {"mmlu_pro only", "the whole bank", "none (random selection)"}),
            ("table4", {"Symbolic-MoE", "accuracy over the whole bank"}),
            ("table5", {"one", "two", "three"}),
            ("table6", {"one", "smcs"}),
            ("table7", {"mbpp", "mmlu_pro"}),
            ("table8", {"none of them", "RPS", "RPS + MPS + PPL + prior drop"}),
            ("figure4", {"2 LLMs", "3 LLMs"}),
            ("figure5", {"mbpp (4)", "mmlu_pro (4)", "the whole bank"}),
            ("figure6", {"no drop", "random drop", "prior drop"}),
            ("figure7", {"one", "two", "three"}),
        ],
    )
    def test_each_runs_and_then_needs_no_calls(
        self, at_home: Path, capsys: pytest.CaptureFixture[str], name: str, labels: set[str]
    ) -> None:
        arguments = [name, "--source", "live", *on("results.db")]
        first = made_by(capsys, *arguments)
        rows = [row for row in first["rows"] if row["ours"]]
        assert labels <= {row["label"] for row in rows}
        for row in rows:
            for cell in row["ours"].values():
                assert isinstance(cell, str) or cell["value"] is not None, row
        if name == "figure6":
            return  # that this needs no calls is tested below, and grading takes processes
        again = made_by(capsys, *arguments, "--budget-tokens", "0")
        assert again["rows"] == first["rows"]
        assert all("calls were made" not in note or note.startswith("0 calls") for note in again["notes"])

    def test_a_figure_of_what_smcs_eval_has_made(self, at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["figure6", *on("results.db"), "--budget-tokens", "0", "--out", "figure6.png"]
        made = made_by(capsys, *arguments)
        assert any(note.startswith("0 calls were made") for note in made["notes"])
        assert (at_home / "figure6.png").read_bytes().startswith(b"\x89PNG")
        accuracies = [row["ours"]["mbpp OCA"]["value"] for row in made["rows"]]
        at_least_two = [row["ours"]["mbpp MCA"]["value"] for row in made["rows"]]
        assert all(two <= one for one, two in zip(accuracies, at_least_two, strict=True))

    def test_a_budget_stops_it_and_the_same_command_goes_on(
        self, at_home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["table8", *on("budget.db")]
        part = made_by(capsys, *arguments, "--budget-tokens", "2000", status=1)
        assert "Stopped: the budget is used up." in part["notes"]
        whole = made_by(capsys, *arguments)
        assert not any(note.startswith("Stopped") for note in whole["notes"])

    def test_a_dry_run_counts_calls_that_arms_share_once(
        self, at_home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one = made_by(capsys, "figure7", *on("none.db"), "--dry-run", "--aggregator", "one")
        three = made_by(capsys, "figure7", *on("none.db"), "--dry-run")
        assert one["calls"] == 8 * (2 + 2)
        assert three["calls"] == 8 * (2 + 3 * 2), "the references are the same"
        assert not (at_home / "none.db").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["table2", "--source", "recorded"], "Table 2 needs calls"),
            (["figure6", "--source", "recorded"], "use --source live or --source paper"),
            (["table4"], "name it with --data"),
            (["table3", "--data", "x", "--dry-run"], "--dry-run is for calls"),
            (["table3", "--data", "x"], "_matrix.npz"),
            (["table1", "--source", "paper"], "there is no pools/paper15.toml here"),
            (["table1", "--source", "paper", "--pool", "pool.toml"], "smcs bank create paper.bank"),
            (["figure7", "--aggregator", "ones", "--pool", "pool.toml", "--bank", "my.bank"], "did you mean 'one'"),
            (
                ["table3", "--source", "live", "--only-bank", "mmlu", "--pool", "pool.toml", "--bank", "my.bank"],
                "'mmlu'",
            ),
            (["table1", "--out", "x.png"], "has no figure"),
        ],
    )
    def test_are_one_clear_message(
        self, at_home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        given = ["--questions", "test.jsonl"] if "--source" in arguments or "--aggregator" in arguments else []
        assert run(["experiment", *arguments, *given]) in {1, 2}
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.out == ""


@contextmanager
def served(folder: Path) -> Iterator[SimulatedEndpoint]:
    """The paper's LLMs on a simulated endpoint, in a thread with an event loop of its own."""
    common = {"backend": "simulated", "answers": folder / "questions.jsonl", "tokens": 4}
    endpoint = SimulatedEndpoint(
        *(
            simulated.Settings(name=str(getattr(llm, "model", "")), seed=i, skill=0.5 + 0.03 * i, **common)  # type: ignore[arg-type]
            for i, llm in enumerate(load_pool(POOL).llm)
        )
    )
    with endpoint_thread(endpoint):
        yield endpoint


class TestPaperSetting:
    def test_runs_once_somebody_points_it_at_endpoints(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write_questions(tmp_path)
        with served(tmp_path) as endpoint:
            (tmp_path / "pools").mkdir()
            text = re.sub(r'base_url = ".*"', f'base_url = "{endpoint.base_url}"', POOL.read_text())
            (tmp_path / "pools" / "paper15.toml").write_text(text.replace("dimension = 4096", "dimension = 64"))
            make_bank("pools/paper15.toml")
            endpoint.requests.clear()
            where = ["--source", "paper", "--bank", "my.bank", "--questions", "test.jsonl", "--limit", "1"]
            made = made_by(capsys, "table1", *where, "--results", "r.db")
            ours = {row["label"] for row in made["rows"] if row["ours"]}
            assert set(load_pool(POOL).names) <= ours
            assert all(row["paper"] for row in made["rows"] if row["label"] in load_pool(POOL).names)
            assert {r["max_tokens"] for r in chats(endpoint) if not is_short(r)} == {8192}
            assert {r["model"] for r in aggregations(endpoint)} == {"meta-llama/Llama-3.3-70B-Instruct"}
            endpoint.requests.clear()
            made_by(capsys, "table6", *where, "--results", "r.db")
            # An LLM with a context of 32,768 tokens is left what the prompt leaves it.
            assert all(32_500 < r["max_tokens"] <= 32_768 for r in chats(endpoint))
            asked = {r["messages"][-1]["content"].split()[3]: r["model"] for r in aggregations(endpoint)}
            assert asked["plus"] == "Qwen/QwQ-32B", "code is aggregated by another LLM"
            assert asked["times"] == "meta-llama/Llama-3.3-70B-Instruct"

    def test_a_dry_run_needs_neither_endpoints_nor_a_bank(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        rows: list[dict[str, Any]] = [
            {
                "id": f"m{i}", "benchmark": "medmcqa", "split": "test" if i < 3 else "validation", "answer": "A",
                "question": f"Question {i}?\nA. yes\nB. no", "options": ["yes", "no"], "meta": {},
            }
            for i in range(8)
        ]  # fmt: skip
        (tmp_path / "medmcqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        monkeypatch.setattr(paper_setting, "BENCHMARKS", ("medmcqa",))
        arguments = ["table6", "--source", "paper", "--pool", str(POOL), "--data", ".", "--benchmark", "medmcqa"]
        made = made_by(capsys, *arguments, "--dry-run", "--expected-tokens", "1000")
        # Each question: fifteen LLMs alone, seven of which are the references, and eight aggregations.
        assert made["calls"] == 3 * (15 + 8)
        assert made["bank"]["calls"] == 5 * 15
        assert made["bank"]["completion_tokens"] == 5 * 15 * 1000
        assert made["bank"]["cost_usd"] > 0
        total = sum(llm["completion_tokens"] for llm in made["llms"])
        assert total == pytest.approx(3 * 23 * 1000)
        assert not list(tmp_path.glob("*.db*"))


def is_short(request: dict[str, Any]) -> bool:
    """Naming skills and picking a response take few tokens whatever the setting."""
    return int(request["max_tokens"]) < 1000


def chats(endpoint: SimulatedEndpoint) -> list[dict[str, Any]]:
    """Requests to LLMs, not to the embedder."""
    return [request for request in endpoint.requests if "messages" in request]


def aggregations(endpoint: SimulatedEndpoint) -> list[dict[str, Any]]:
    return [r for r in chats(endpoint) if "Responses from models:" in r["messages"][0]["content"]]
