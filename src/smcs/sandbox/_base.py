"""What all sandboxes share: a bounded number of places, the job, the limits."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from smcs.programs import Limits, Outcome, Program
from smcs.sandbox._interpreter import Interpreter
from smcs.sandbox._supervise import CANCELLED, Launch, supervise

_INTERPRETER_MB = 128
_STACK_BYTES = 64 << 20
_OPEN_FILES = 64
_SOURCE_NAME = "program.py"


class ProcessSandbox(ABC):
    """Runs each program in a fresh interpreter process.

    Args:
        interpreter: what runs it.
        workers: runs at one time; further ones wait.
    """

    name: ClassVar[str]

    def __init__(self, interpreter: Interpreter, workers: int) -> None:
        self._interpreter = interpreter
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=f"sandbox-{self.name}")
        self._running: set[threading.Event] = set()

    @property
    @abstractmethod
    def description(self) -> str:
        """What it keeps from a program and what not."""

    async def run(
        self,
        program: str,
        *,
        stdin: str = "",
        limits: Limits | None = None,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Outcome:
        """Run a Python program; waits for a free place first. Cancelling ends the program, children included.

        Args:
            program: its source text.
            stdin: what it reads from standard input.
            limits: what it may use; `Limits()` where not given.
            files: contents of files to put in its scratch folder, by relative path.

        Raises:
            ValueError: a file's path is absolute or leads out of the scratch folder.
        """
        job = Program(program, stdin, files or {}, limits or Limits())
        _relative(job.files)
        stop = threading.Event()
        self._running.add(stop)
        submitted = self._threads.submit(self._execute, job, stop)
        future = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.set()
            if not submitted.cancel():  # it has begun
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            raise
        finally:
            self._running.discard(stop)

    def execute(self, program: Program) -> Outcome:
        """The same for a caller without an event loop: blocks, and does not wait for a place.

        Raises:
            ValueError: a file's path is absolute or leads out of the scratch folder.
        """
        _relative(program.files)
        return self._execute(program, threading.Event())

    async def aclose(self) -> None:
        """End what is running. The sandbox cannot be used again."""
        for stop in self._running:
            stop.set()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def _execute(self, program: Program, stop: threading.Event) -> Outcome:
        if stop.is_set():
            return Outcome("killed", None, "", "", 0.0, CANCELLED)
        contents = {path: _bytes(content) for path, content in program.files.items()}
        # Shown in tracebacks, and readable to a program that looks at its own source.
        contents.setdefault(_SOURCE_NAME, program.source.encode("utf-8", "replace"))
        given = sum(_on_disk(len(content)) for content in contents.values())
        limits = program.limits
        job = {
            "source": program.source,
            "files": contents,
            "file_bytes": limits.file_bytes + given,
            "packages": [str(folder) for folder in self._interpreter.packages],
            "rlimits": rlimits(limits, limits.file_bytes + given),
            "strict": True,
            "keeper": False,
            "user": None,
        }
        with self._launch(job, limits) as launch:
            try:
                return supervise(launch, _bytes(program.stdin), limits, stop)
            finally:
                if launch.control is not None:
                    os.close(launch.control)

    @abstractmethod
    def _launch(self, job: dict[str, Any], limits: Limits) -> AbstractContextManager[Launch]:
        """How to start a run; frees what that takes afterwards."""

    def _python(self, *parts: str) -> list[str]:
        """The command of the bare interpreter with our start-up code."""
        return [str(self._interpreter.executable), "-P", "-s", "-S", "-B", "-X", "utf8", "-c", boot_text(*parts)]


def rlimits(limits: Limits, file_bytes: int) -> list[tuple[str, int, int]]:
    """Limits of one process: name, soft, hard. A second more of hard processor time ends who ignores the signal."""
    cpu = math.ceil(limits.cpu_seconds)
    memory = limits.memory_mb + _INTERPRETER_MB << 20
    return [
        ("RLIMIT_CPU", cpu, cpu + 1),
        ("RLIMIT_AS", memory, memory),
        ("RLIMIT_NPROC", limits.processes, limits.processes),
        ("RLIMIT_FSIZE", file_bytes, file_bytes),
        ("RLIMIT_NOFILE", _OPEN_FILES, _OPEN_FILES),
        ("RLIMIT_STACK", _STACK_BYTES, _STACK_BYTES),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_MEMLOCK", 0, 0),
        ("RLIMIT_MSGQUEUE", 0, 0),
    ]


def with_processes(limits: list[tuple[str, int, int]], most: int) -> list[tuple[str, int, int]]:
    """The limits with another one on processes."""
    return [("RLIMIT_NPROC", most, most) if row[0] == "RLIMIT_NPROC" else row for row in limits]


@cache
def boot_text(*parts: str) -> str:
    """The start-up code as one text: `_boot`, and the named modules after it."""
    folder = package_files("smcs.sandbox")
    texts = [folder.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in ("_boot", *parts)]
    future = "from __future__ import annotations\n"
    return "\n".join([future, *(text.replace(future, "") for text in texts), "main()\n"])


def _relative(files: Mapping[str, str | bytes]) -> None:
    for name in files:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
            raise ValueError(f"a file for the sandbox needs a path inside its folder, not {name!r}")


def _bytes(content: str | bytes) -> bytes:
    """As the program is to read it. What is no valid text stays as it is."""
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content


def _on_disk(size: int) -> int:
    page = 4096
    return (size + page - 1) // page * page + page


@contextlib.contextmanager
def pipe_with(content: bytes) -> Iterator[int]:
    """A descriptor from which this can be read, once. Up to 64 KiB."""
    read, write = os.pipe()
    try:
        os.write(write, content)
        os.close(write)
        yield read
    finally:
        os.close(read)


def spare_users() -> range:
    """User ids that nobody has, for one run each; empty where we cannot become another user.

    The range is the one that systemd sets aside for passing users.
    """
    first, last = 61184, 65519
    if os.name != "posix" or os.geteuid() != 0:
        return range(0)
    try:
        maps = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        return range(0)
    return range(first, last + 1) if any(inside <= first and last < inside + n for inside, _, n in maps) else range(0)
