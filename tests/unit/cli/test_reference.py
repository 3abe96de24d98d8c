"""The command line: its reference is what --help says, it starts quickly, and it ends without tracebacks."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from scripts.cli_reference import TARGET, reference

from smcs import cli
from smcs.errors import ConfigError, WeightsError


def test_the_reference_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "run: python -m scripts.cli_reference"


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "aiohttp", "pydantic", "sqlalchemy", "rich", "onnxruntime", "xllamacpp", "asyncio")
    code = f"import sys; from smcs.cli import run; run(['--help']); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ConfigError("bad key"), 2, "smcs: error: bad key\n"),
        (WeightsError("no network"), 1, "smcs: error: no network\n"),
        (KeyboardInterrupt(), 130, "\nsmcs: interrupted\n"),  # the terminal has just shown ^C
    ],
)
def test_errors_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli.root, "get_command", lambda *_: failing)
    assert cli.run(["anything"]) == status
    assert capsys.readouterr().err == message


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["frobnicate"]) == 2
    assert "No such command" in capsys.readouterr().err
