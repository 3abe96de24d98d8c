"""A server process, and the official client of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai


class Server:
    """A server process. A context manager that stops it."""

    def __init__(self, folder: Path, *arguments: str, pool: Path | None = None, **env: str) -> None:
        command = [sys.executable, "-m", "smcs", "serve", "--pool", str(pool or folder / "pool.toml")]
        self.process = subprocess.Popen(
            [*command, "--bank", str(folder / "my.bank"), "--port", "0", *arguments],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "XDG_DATA_HOME": str(folder), **env},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, err = self.process.communicate()
            raise RuntimeError(err)
        self.base_url = line.split()[-1]
        self.url = self.base_url.removesuffix("/v1")

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.base_url, **{"api_key": "none", "max_retries": 0, "timeout": 60, **options})

    def async_client(self, **options: Any) -> openai.AsyncOpenAI:
        given = {"api_key": "none", "max_retries": 0, "timeout": 60, **options}
        return openai.AsyncOpenAI(base_url=self.base_url, **given)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status, and what it wrote to standard error."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
