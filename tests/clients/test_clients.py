"""The examples of docs/guides/clients.md, each run as its head says against a real server over simulated LLMs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving import EXAMPLES

Run = Callable[..., str]
Environment = Callable[[str], Path]

CLIENTS = EXAMPLES / "clients"
RIGHT = "The answer is 20."

pytestmark = pytest.mark.timeout(1200)  # the first run installs


def said(out: str, label: str) -> str:
    """What a program printed after ``label:``."""
    (line,) = (line for line in out.splitlines() if line.startswith(f"{label}:"))
    return line.removeprefix(f"{label}:").strip()


def test_openai(run: Run) -> None:
    out = run(sys.executable, "openai_sync.py", programs=Path(sys.executable).parent)
    assert {"smcs", "smcs/majority", "careful"} <= set(said(out, "models").split(", "))
    assert said(out, "answer") == RIGHT
    assert int(said(out, "tokens")) > 500  # of all calls together, not of one
    assert said(out, "choices") == "[0, 1, 2]"


def test_openai_streaming(run: Run) -> None:
    out = run(sys.executable, "openai_stream.py", programs=Path(sys.executable).parent)
    assert "progress:" in out
    assert said(out, "answer") == RIGHT
    assert said(out, "by majority").startswith("The answer is")
    assert int(said(out, "tokens")) > 500


@pytest.mark.clients
def test_langchain(run: Run, environment: Environment) -> None:
    programs = environment("langchain")
    out = run(programs / "python", "langchain_chat.py", programs=programs)
    assert said(out, "answer") == RIGHT
    assert int(said(out, "tokens of all calls together")) > 500
    assert said(out, "by majority").startswith("The answer is")
    assert said(out, "streamed").startswith("The answer is")


@pytest.mark.clients
def test_llm_command_line(run: Run, environment: Environment, endpoint: str, tmp_path: Path) -> None:
    models = (CLIENTS / "llm" / "extra-openai-models.yaml").read_text(encoding="utf-8")
    assert "http://127.0.0.1:8765/v1" in models
    (tmp_path / "extra-openai-models.yaml").write_text(models.replace("http://127.0.0.1:8765/v1", endpoint))
    programs = environment("llm")
    home = {"LLM_USER_PATH": str(tmp_path)}
    run("llm", "keys", "set", "smcs", "--value", "none", programs=programs, **home)
    out = run(CLIENTS / "llm" / "run.sh", programs=programs, **home)
    assert RIGHT in out.splitlines()
    assert len([line for line in out.splitlines() if line.startswith("The answer is")]) == 2


@pytest.mark.clients
def test_inspect_ai(run: Run, environment: Environment, tmp_path: Path) -> None:
    programs = environment("inspect-ai")
    options = ["--model", "openai-api/smcs/smcs", "--max-connections", "8", "--display", "plain"]
    logs = ["--log-dir", tmp_path / "logs", "--log-format", "json"]
    run("inspect", "eval", "sums.py", *options, *logs, programs=programs, cwd=CLIENTS / "inspect_ai")
    (log,) = (tmp_path / "logs").glob("*.json")
    result = json.loads(log.read_text(encoding="utf-8"))
    assert result["status"] == "success"
    assert result["results"]["scores"][0]["metrics"]["accuracy"]["value"] >= 0.75
    assert len(result["samples"]) == 8
    assert all(not sample.get("error") for sample in result["samples"])


@pytest.mark.clients
def test_lm_evaluation_harness(run: Run, environment: Environment, endpoint: str, tmp_path: Path) -> None:
    programs = environment("lm-eval")
    results = tmp_path / "results.json"
    run(programs / "python", "run.py", endpoint, "smcs", results, programs=programs, cwd=CLIENTS / "lm_eval")
    scores = json.loads(results.read_text(encoding="utf-8"))["smcs_sums"]
    assert scores["exact_match,last_number"] >= 0.75


def test_open_webui_names_models_that_are_there() -> None:
    lines = (CLIENTS / "open_webui" / "open-webui.env").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    pool = (EXAMPLES / "simulated" / "pool.toml").read_text(encoding="utf-8")
    assert values["DEFAULT_MODELS"] == "smcs"
    assert f'name = "{values["TASK_MODEL_EXTERNAL"]}"' in pool
    assert values["OPENAI_API_BASE_URL"].endswith("/v1")
