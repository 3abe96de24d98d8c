"""Clients of other makers, each in a virtual environment of its own: what they need does not fit ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from filelock import FileLock
from tests.serving import EXAMPLES, serving, simulated_bank

from smcs.weights import cache_dir

REQUIREMENTS = Path(__file__).parent / "requirements"
Run: TypeAlias = Callable[..., str]


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server over simulated LLMs."""
    folder = tmp_path_factory.mktemp("served")
    simulated_bank(folder)
    with serving(folder) as url:
        yield url


@pytest.fixture(scope="session")
def environment() -> Callable[[str], Path]:
    """Gives the folder of a client's programs by the name of its requirements; made once, and kept in the cache."""

    def programs(name: str) -> Path:
        wanted = (REQUIREMENTS / f"{name}.txt").read_bytes()
        key = hashlib.sha256(wanted + sys.version.encode()).hexdigest()[:12]
        place = cache_dir() / "test-clients" / f"{name}-{key}"
        place.parent.mkdir(parents=True, exist_ok=True)
        ready = place / "ready"
        with FileLock(f"{place}.lock"):
            if not ready.exists():
                uv = [sys.executable, "-m", "uv"]
                subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
                install = [*uv, "pip", "install", "--quiet", "--python", f"{place}/bin/python"]
                subprocess.run([*install, "--requirement", REQUIREMENTS / f"{name}.txt"], check=True)
                ready.touch()
        return place / "bin"

    return programs


@pytest.fixture
def run(endpoint: str, tmp_path: Path) -> Run:
    """Runs a program of an example as its head says, against the endpoint; what it wrote on standard output."""

    def running(*command: str | Path, programs: Path, cwd: Path = EXAMPLES / "clients", **env: str) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            text=True,
            capture_output=True,
            timeout=280,
            check=False,
            env={
                **os.environ,
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "OPENAI_BASE_URL": endpoint,
                "OPENAI_API_KEY": "none",
                "SMCS_BASE_URL": endpoint,
                "SMCS_API_KEY": "none",
                "HF_HUB_OFFLINE": "1",
                "HF_DATASETS_OFFLINE": "1",
                "HF_HOME": str(tmp_path / "hf"),
                **env,
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return running
