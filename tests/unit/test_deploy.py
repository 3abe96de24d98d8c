"""The container file and the systemd unit: what they start exists, as nobody in particular, and holds no secret."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from smcs.cli import root, serve
from smcs.server import health

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "smcs.service"


def instructions() -> list[tuple[str, str]]:
    """The container file's instructions, their continued lines joined."""
    text = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines) if word]


def last(word: str) -> str:
    return [rest for name, rest in instructions() if name == word][-1]


def parses(arguments: list[str]) -> None:
    """Whether the command line takes these, without running it."""
    name, *options = arguments
    assert root.get_command(root.make_context("smcs", [name]), name) is serve.command
    serve.command.make_context("serve", options)


def test_the_container_starts_the_server_as_an_ordinary_user() -> None:
    assert last("ENTRYPOINT") == '["smcs"]'
    arguments = re.findall(r'"([^"]*)"', last("CMD"))
    parses(arguments)
    assert "--api-key-env" in arguments  # it listens on all addresses
    user = last("USER").partition(":")[0]
    assert int(user) >= 10000
    assert [n for n, _ in instructions()].index("USER") > max(
        i for i, (n, _) in enumerate(instructions()) if n == "RUN"
    )


def test_the_container_is_built_from_what_is_there() -> None:
    ignored = (ROOT / "deploy" / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for name, rest in instructions():
        if name == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored
    assert all(rest.strip() != "." for name, rest in instructions() if name in {"ADD", "COPY"})


def test_the_container_holds_no_secret_and_pins_what_it_installs() -> None:
    for name, rest in instructions():
        if name in {"ENV", "ARG"}:
            assert not re.search(r"(KEY|TOKEN|SECRET|PASSWORD)\w*=", rest)
        assert "pip install" not in rest or "==" in rest or "--constraint requirements.lock" in rest
    assert [name for name, _ in instructions()].count("FROM") == 2


def test_the_health_check_asks_a_page_that_is_there() -> None:
    (path,) = re.findall(r"127\.0\.0\.1:8765(/\w+)", last("HEALTHCHECK"))
    assert f'"{path}"' in Path(health.__file__).read_text(encoding="utf-8")


def test_the_unit_starts_the_server() -> None:
    (command,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    program, *arguments = shlex.split(command)
    assert Path(program).name == "smcs"
    parses(arguments)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "smcs"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / "smcs.service"
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/smcs/bin/smcs", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
