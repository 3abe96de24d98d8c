"""``smcs ask`` and ``smcs pool`` as a user runs them, against simulated LLMs: output, wrong input, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smcs.testing.running import endpoint_process

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
backend = "openai"
base_url = "{url}"
model = "strong"
[[llm]]
name = "weak"
backend = "openai"
base_url = "{url}"
model = "weak"
[[llm]]
name = "middling"
backend = "simulated"
skill = 0.6
answers = "questions.jsonl"
[embedder]
backend = "openai"
base_url = "{url}"
model = "embedder"
[smcs]
k = 3
n_base = 4
n_aggregations = 3
"""


class Run:
    """Runs the command line in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.pool = folder / "pool.toml"
        self.pool.write_text(POOL.format(url=url), encoding="utf-8")

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "smcs", *arguments],
            cwd=self.folder,
            text=True,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "SMCS_TEST_KEY": "", **options.pop("env", {})},
        )

    def __call__(self, *arguments: str, text: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        if text is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*arguments, **options)
        out, err = process.communicate(text, timeout=120)
        assert "Traceback" not in err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def ask(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self("ask", "--pool", "pool.toml", "--bank", "my.bank", *arguments, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("ask")
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS), encoding="utf-8")
    options = ["--answers", "questions.jsonl", "--llm", "strong:0.95", "--llm", "weak:0.2"]
    with endpoint_process(*options, folder=folder) as url:
        run = Run(folder, url)
        assert run("bank", "create", "my.bank", "--from", "questions.jsonl", "--pool", "pool.toml").returncode == 0
        assert run("bank", "evaluate", "my.bank", "--pool", "pool.toml").returncode == 0
        yield run


class TestAnswers:
    def test_the_answer_alone_is_on_standard_output(self, run: Run) -> None:
        done = run.ask("What is 5 + 5? Finish with: The answer is X.")
        assert done.returncode == 0
        assert "The answer is" in done.stdout
        assert "retrieve" not in done.stdout
        assert "referencers, best prior first: strong" in done.stderr

    def test_json_has_the_fixed_keys(self, run: Run) -> None:
        done = run.ask("--json", "--quiet", "--seed", "3", "What is 5 + 5?")
        answer = json.loads(done.stdout)
        assert done.stderr == ""
        assert answer["seed"] == 3
        assert {"answer", "seconds", "usage", "trace"} <= answer.keys()
        assert {"calls", "prompt_tokens", "completion_tokens", "cost_usd"} <= answer["usage"].keys()
        trace = answer["trace"]
        assert {
            "embedder",
            "aggregator",
            "support",
            "prior",
            "referencers",
            "subsets",
            "aggregations",
            "winner",
        } <= trace.keys()
        assert {"id", "benchmark", "similarity"} <= trace["support"][0].keys()
        assert set(trace["prior"]) == {"strong", "weak", "middling"}
        reference = {"llm", "prior", "text", "error", "finish_reason", "prompt_tokens", "completion_tokens", "seconds"}
        assert all(reference <= r.keys() for r in trace["referencers"])
        aggregation = {"subset", "text", "similarity", "perplexity", "score", "error", "seconds"}
        assert all(aggregation <= a.keys() for a in trace["aggregations"])
        assert trace["aggregations"][trace["winner"]]["text"] == answer["answer"]
        assert answer["usage"]["cost_usd"] is None, "the price of the endpoint's LLMs is not known"

    def test_the_same_seed_gives_the_same_answer(self, run: Run) -> None:
        one, same, other = (json.loads(run.ask("--json", "-q", "--seed", s, "What is 7 + 7?").stdout) for s in "112")
        assert one["answer"] == same["answer"]
        assert one["trace"]["subsets"] == same["trace"]["subsets"]
        assert [r["text"] for r in one["trace"]["referencers"]] != [r["text"] for r in other["trace"]["referencers"]]

    def test_explain_shows_every_step(self, run: Run) -> None:
        shown = run.ask("--explain", "What is 5 + 5?").stdout
        for part in ("Support set: ", "sum-5", "Prior of each LLM", "referencer 1", "<- winner", "calls, ", "seed 0"):
            assert part in shown

    def test_the_question_from_standard_input(self, run: Run) -> None:
        assert run.ask(text="What is 5 + 5?\n").returncode == 0
        assert run.ask("-", text="What is 5 + 5?\n").returncode == 0

    def test_one_referencer_down_is_not_a_failure(self, run: Run) -> None:
        before, _, after = run.pool.read_text(encoding="utf-8").partition('name = "weak"')
        broken = before + 'name = "weak"\nmax_retries = 0' + after.replace(run.url, "http://127.0.0.1:9/v1", 1)
        (run.folder / "broken.toml").write_text(broken, encoding="utf-8")
        done = run("ask", "--pool", "broken.toml", "--bank", "my.bank", "--json", "What is 5 + 5?")
        assert done.returncode == 0
        references = {r["llm"]: r for r in json.loads(done.stdout)["trace"]["referencers"]}
        assert references["weak"]["error"]["kind"] == "connection_failed"
        assert references["weak"]["text"] is None
        assert references["strong"]["text"]


class TestWrongInput:
    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            ([""], 2, "the question is empty"),
            (["   "], 2, "the question is empty"),
            (["--set", "kk=1", "x"], 2, "unknown key 'kk'; did you mean 'k'"),
            (["--set", "k", "x"], 2, "not of the form key=value"),
            (["--set", "k=9", "x"], 2, "k = 9 referencers are more than the pool's 3"),
            (["--preset", "papr", "x"], 2, "unknown preset 'papr'; did you mean 'paper'"),
            (["--set", "aggregator=nobody", "x"], 2, "'nobody' is not in the pool"),
            (["--seed", "-1", "x"], 2, "--seed"),
            (["--bank", "none.bank", "x"], 2, "there is no bank none.bank"),
            (["--bank", "questions.jsonl", "x"], 1, "is not a question bank"),
            (["--pool", "none.toml", "x"], 2, "there is no pool file none.toml"),
            (["--frob", "x"], 2, "No such option"),
        ],
    )
    def test_one_clear_message(self, run: Run, arguments: list[str], status: int, message: str) -> None:
        done = run.ask(*arguments)
        assert done.returncode == status
        assert message in done.stderr
        assert done.stdout == ""

    @pytest.mark.parametrize(
        ("change", "status", "message"),
        [
            (('model = "strong"', 'modle = "strong"'), 2, "unknown key 'modle'; did you mean 'model'"),
            (('backend = "simulated"', 'backend = "simulatd"'), 2, "did you mean 'simulated'"),
            (
                ('model = "strong"', 'model = "strong"\napi_key_env = "SMCS_TEST_KEY"'),
                2,
                "SMCS_TEST_KEY, which is not set",
            ),
            (("[smcs]", "[other]\n[smcs]"), 2, "unknown table 'other'"),
            (("[smcs]", '[smcs]\naggregator = "strong"\nlambda = -1'), 2, "lambda = -1"),
        ],
    )
    def test_what_is_wrong_in_the_pool_file(self, run: Run, change: tuple[str, str], status: int, message: str) -> None:
        (run.folder / "changed.toml").write_text(
            run.pool.read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8"
        )
        done = run("ask", "--pool", "changed.toml", "--bank", "my.bank", "x")
        assert (done.returncode, message in done.stderr) == (status, True), done.stderr

    def test_an_aggregator_without_log_probabilities(self, run: Run) -> None:
        text = run.pool.read_text(encoding="utf-8").replace('model = "strong"', 'model = "strong"\nlogprobs = false', 1)
        (run.folder / "changed.toml").write_text(
            text.replace("k = 3", 'k = 3\naggregator = "strong"'), encoding="utf-8"
        )
        done = run("ask", "--pool", "changed.toml", "--bank", "my.bank", "x")
        assert done.returncode == 2
        assert "'strong' (backend 'openai')" in done.stderr
        assert "lambda = 0" in done.stderr

    def test_an_endpoint_that_is_down_for_every_llm(self, run: Run) -> None:
        text = run.pool.read_text(encoding="utf-8").replace('model = "', 'max_retries = 0\nmodel = "')
        text = text.replace(
            'backend = "simulated"', 'backend = "simulated"\nmax_retries = 0\nfaults = { server_error = 1.0 }'
        )
        llms, embedder = text.split("[embedder]")
        down = llms.replace(run.url, "http://127.0.0.1:9/v1") + "[embedder]" + embedder
        (run.folder / "changed.toml").write_text(down, encoding="utf-8")
        done = run("ask", "--pool", "changed.toml", "--bank", "my.bank", "--json", "-q", "x")
        assert done.returncode == 1
        assert "every referencer failed" in done.stderr
        failed = json.loads(done.stdout)
        assert failed["answer"] is None
        assert all(r["error"] for r in failed["trace"]["referencers"])

    def test_a_bank_of_another_embedder(self, run: Run) -> None:
        text = run.pool.read_text(encoding="utf-8").replace('model = "embedder"', 'model = "other"')
        (run.folder / "changed.toml").write_text(text, encoding="utf-8")
        done = run("ask", "--pool", "changed.toml", "--bank", "my.bank", "x")
        assert done.returncode == 1
        assert "openai/embedder" in done.stderr
        assert "openai/other" in done.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5, 3.0])
def test_ctrl_c_ends_at_once_with_one_message(run: Run, seconds: float) -> None:
    slow = run.pool.read_text(encoding="utf-8").replace("skill = 0.6", "skill = 0.6\nlatency_s = 600")
    (run.folder / "slow.toml").write_text(slow, encoding="utf-8")
    process = run.start("ask", "--pool", "slow.toml", "--bank", "my.bank", "x")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)  # the latter before our code runs at all
    if process.returncode == 130:
        assert "Traceback" not in err
        assert err.rstrip().endswith("smcs: interrupted")
    assert out == ""


class TestPool:
    def test_show(self, run: Run) -> None:
        done = run("pool", "show", "--pool", "pool.toml")
        assert done.returncode == 0
        assert all(name in done.stdout for name in ("strong", "weak", "middling", "simulated"))
        names = [llm["name"] for llm in json.loads(run("pool", "show", "--pool", "pool.toml", "--json").stdout)]
        assert names == ["strong", "weak", "middling"]

    def test_check(self, run: Run) -> None:
        checks = json.loads(run("pool", "check", "--pool", "pool.toml", "--json").stdout)
        assert [(c["ok"], c["logprobs"]) for c in checks] == [(True, True)] * 3

    def test_check_fails_where_one_does_not_answer(self, run: Run) -> None:
        down = run.pool.read_text(encoding="utf-8").replace(run.url, "http://127.0.0.1:9/v1", 1)
        (run.folder / "down.toml").write_text(down, encoding="utf-8")
        done = run("pool", "check", "--pool", "down.toml")
        assert done.returncode == 1
        assert "NO" in done.stdout
