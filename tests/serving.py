"""A real ``smcs serve`` process over the simulated LLMs of ``examples/simulated``, for tests that talk to it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from smcs import cli

EXAMPLES = Path(__file__).parent.parent / "examples"
_LONGEST_STOP_S = 60


def simulated_bank(folder: Path) -> Path:
    """Put the simulated pool and its evaluated bank into a folder; the bank's path."""
    for name in ("pool.toml", "questions.jsonl"):
        shutil.copy(EXAMPLES / "simulated" / name, folder / name)
    bank, pool = folder / "sums.bank", folder / "pool.toml"
    questions = folder / "questions.jsonl"
    assert cli.run(["bank", "create", str(bank), "--from", str(questions), "--pool", str(pool)]) == 0
    assert cli.run(["bank", "evaluate", str(bank), "--pool", str(pool)]) == 0
    return bank


@contextmanager
def serving(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, memory_gib: int | None = None
) -> Iterator[str]:
    """Serve what `simulated_bank` made; the value is the endpoint's address, up to and with ``/v1``.

    Args:
        folder: where pool and bank are; what the server says is kept in ``serve.log``.
        arguments: more options of ``smcs serve``.
        env: more environment variables.
        memory_gib: most memory that the server may take, for tests that try to fill it.
    """
    command = [sys.executable, "-m", "smcs", "serve", "--pool", "pool.toml", "--bank", "sums.bank", "--port", "0"]
    with (folder / "serve.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "SMCS_DATA": str(folder), **(env or {})},
        )
        try:
            if memory_gib is not None:
                resource.prlimit(process.pid, resource.RLIMIT_AS, (memory_gib * 2**30, memory_gib * 2**30))
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http" in line, (line, (folder / "serve.log").read_text(encoding="utf-8"))
            yield next(word for word in line.split() if word.startswith("http")).removesuffix("/v1") + "/v1"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=_LONGEST_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise
