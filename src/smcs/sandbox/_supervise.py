"""One run, watched from outside: start, feed, read, measure, kill.

Blocks, and is meant for a thread of its own, so that a busy event loop neither delays a kill nor is delayed.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smcs.programs import Limits, Outcome, Status
from smcs.sandbox import _watch

_TICK_S = 0.02
_START_S = 60.0
_STALL_S = 0.5  # of a longer gap between two looks (a machine that sleeps, or starves us) no more than this counts
_MOST_PATIENCE = 4  # times the wall time, if all that was spent waiting for a processor
_GRACE_S = 5.0
_CHUNK = 1 << 16
CANCELLED = "the run was cancelled"
_SIGXCPU = 152  # 128 + 24, on every machine that Linux runs Python on but MIPS


@dataclass(slots=True)
class Launch:
    """How to start one run.

    Attributes:
        command: what to execute; the job and then the program's input go to its standard input.
        job: what `smcs.sandbox._boot` is told.
        inherited: descriptors that the process gets; the caller closes them after the run.
        control: our end of the keeper's control pipe, where there is a keeper: closing it ends the run.
        ours: how many of the topmost processes are not the program's.
        mounted: the scratch folder as the program sees it, where only it can.
        folder: the scratch folder where it lies in our file system.
    """

    command: list[str]
    job: dict[str, Any]
    inherited: tuple[int, ...] = ()
    control: int | None = None
    ours: int = 0
    mounted: str | None = None
    folder: Path | None = None


@dataclass(slots=True)
class _Reader:
    """Collects one output stream up to its limit."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    open: bool = True
    over: bool = False

    def take(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        self.open = bool(chunk)
        self.over = len(self.data) + len(chunk) > self.limit
        self.data += chunk[: self.limit - len(self.data)]

    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


def supervise(launch: Launch, stdin: bytes, limits: Limits, stop: threading.Event) -> Outcome:
    """Run one program to its end, or to the first limit.

    Args:
        launch: how to start it.
        stdin: the program's standard input.
        limits: what it may use.
        stop: set by another thread to end the run at once.
    """
    return _Run(launch, stdin, limits, stop).outcome()


class _Run:
    def __init__(self, launch: Launch, stdin: bytes, limits: Limits, stop: threading.Event) -> None:
        self._launch = launch
        self._limits = limits
        self._stop = stop
        self._stdin = memoryview(stdin)
        self._readers: dict[int, _Reader] = {}  # standard output, then standard error
        self._verdict: tuple[Status, str] | None = None
        self._started: float | None = None
        self._seconds = 0.0
        self._clock = self._clock_at_start = 0.0  # seconds in which we were awake to look

    def outcome(self) -> Outcome:
        ready, ready_end = os.pipe()
        job = {**self._launch.job, "ready": ready_end}
        try:
            process = subprocess.Popen(  # noqa: S603
                self._launch.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(_environment(job["scratch"])),
                pass_fds=(ready_end, *self._launch.inherited),
                start_new_session=True,
                bufsize=0,
                cwd="/",
            )
        except OSError as error:
            os.close(ready)
            return Outcome("sandbox_error", None, "", "", 0.0, f"{self._launch.command[0]} cannot be started: {error}")
        finally:
            os.close(ready_end)
        packed = marshal.dumps(job)
        self._stdin = memoryview(len(packed).to_bytes(8, "little") + packed + self._stdin)
        try:
            with process, selectors.DefaultSelector() as selector:
                self._attend(process, selector, ready)
        finally:
            os.close(ready)
        return self._report(process.returncode)

    def _attend(self, process: subprocess.Popen[bytes], selector: selectors.BaseSelector, ready: int) -> None:
        """Feed, read and measure until the process has ended, or has to be ended."""
        last = due = time.monotonic()
        self._register(process, selector, ready)
        ended = _wake_at_end(process, selector)
        try:
            while process.poll() is None and self._verdict is None:
                for key, _ in selector.select(_TICK_S):
                    if key.data and not key.data(key.fd):
                        selector.unregister(key.fd)
                now = time.monotonic()
                self._clock += min(now - last, _STALL_S)
                last = now
                if due <= now or self._stop.is_set() or self._over():
                    due = now + _TICK_S
                    self._verdict = self._check(process.pid)
        finally:
            if process.returncode is None:
                self._end(process)
            self._seconds = time.monotonic() - (self._started or time.monotonic())
            if ended is not None:
                os.close(ended)
        # What it had written before its end is still in the pipes, and nobody is left to write more.
        for stream in (process.stdout, process.stderr):
            if stream:
                self._drain(stream.fileno())
        self._begin(ready)

    def _register(self, process: subprocess.Popen[bytes], selector: selectors.BaseSelector, ready: int) -> None:
        """Each handler is called when its descriptor is ready, and says whether it wants to be called again."""
        assert process.stdin
        assert process.stdout
        assert process.stderr
        stdin, stdout, stderr = process.stdin, process.stdout.fileno(), process.stderr.fileno()
        self._readers = {out: _Reader(self._limits.output_bytes) for out in (stdout, stderr)}

        def feed(descriptor: int) -> bool:
            more = self._feed(descriptor)
            if not more:
                selector.unregister(descriptor)
                stdin.close()
            return True

        for descriptor in (stdin.fileno(), stdout, stderr, ready):
            os.set_blocking(descriptor, False)
        selector.register(stdin.fileno(), selectors.EVENT_WRITE, feed)
        selector.register(stdout, selectors.EVENT_READ, self._read)
        selector.register(stderr, selectors.EVENT_READ, self._read)
        selector.register(ready, selectors.EVENT_READ, self._begin)

    def _feed(self, descriptor: int) -> bool:
        try:
            self._stdin = self._stdin[os.write(descriptor, self._stdin[:_CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._stdin)

    def _read(self, descriptor: int) -> bool:
        reader = self._readers[descriptor]
        reader.take(descriptor)
        return reader.open

    def _begin(self, descriptor: int) -> bool:
        if self._started is None:
            with contextlib.suppress(BlockingIOError):
                if os.read(descriptor, 1):
                    self._started = time.monotonic()
                    self._clock_at_start = self._clock
        return False

    def _drain(self, descriptor: int) -> None:
        reader = self._readers[descriptor]
        while reader.open and not reader.over:
            before = len(reader.data)
            reader.take(descriptor)
            if len(reader.data) == before:
                break

    def _over(self) -> bool:
        return any(reader.over for reader in self._readers.values())

    def _check(self, pid: int) -> tuple[Status, str] | None:
        """The limit that is broken, if any."""
        if self._stop.is_set():
            return "killed", CANCELLED
        if self._over():
            return "output", f"more than {self._limits.output_bytes} bytes of output"
        if self._started is None:
            late = self._clock > _START_S
            return ("sandbox_error", f"not started within {_START_S:g} s") if late else None
        usage = _watch.tree(pid, skip=self._launch.ours)
        return self._check_time(self._clock - self._clock_at_start, usage) or self._check_use(usage)

    def _check_time(self, seconds: float, usage: _watch.Usage) -> tuple[Status, str] | None:
        most = self._limits.seconds
        if seconds <= most or (seconds <= _MOST_PATIENCE * most and seconds - _watch.waited(usage.pids) <= most):
            return None
        return "timeout", f"longer than {most:g} s"

    def _check_use(self, usage: _watch.Usage) -> tuple[Status, str] | None:
        if usage.memory > self._limits.memory_mb << 20:
            return "memory", f"more than {self._limits.memory_mb} MiB of memory"
        if usage.tasks > self._limits.processes:
            return "killed", f"more than {self._limits.processes} processes and threads"
        return self._check_files(usage)

    def _check_files(self, usage: _watch.Usage) -> tuple[Status, str] | None:
        files = size = 0
        if self._launch.mounted:
            files = _watch.mounted_files(usage.pids, self._launch.mounted)
        if self._launch.folder:
            size, files = _watch.folder_usage(self._launch.folder)
        if files > _watch.MOST_FILES:
            return "killed", f"more than {_watch.MOST_FILES} files"
        if size > self._launch.job["file_bytes"]:
            return "killed", f"more than {self._limits.file_bytes} bytes of files"
        return None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End the process and all below it."""
        if self._launch.control is not None:
            os.close(self._launch.control)  # the keeper takes it from here
            self._launch.control = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
        process.kill()
        process.wait()

    def _report(self, code: int) -> Outcome:
        stdout, stderr = (reader.text() for reader in self._readers.values())
        if self._verdict is None and self._over():
            self._verdict = "output", f"more than {self._limits.output_bytes} bytes of output"
        if self._verdict is not None:
            return Outcome(self._verdict[0], None, stdout, stderr, self._seconds, self._verdict[1])
        if self._started is None:
            reason = stderr.strip().splitlines()[-1:] or [f"exit status {code}"]
            return Outcome("sandbox_error", None, stdout, stderr, 0.0, f"the sandbox did not start: {reason[0]}")
        code = 128 - code if code < 0 else code
        status, detail = _status(code, stderr, self._limits)
        return Outcome(status, code, stdout, stderr, self._seconds, detail)


def _status(code: int, stderr: str, limits: Limits) -> tuple[Status, str]:
    if code == 0:
        return "ok", ""
    if code == _SIGXCPU:
        return "timeout", f"more than {limits.cpu_seconds:g} s of processor time"
    if code > 128:
        return "killed", f"signal {code - 128}"
    last = stderr.rstrip().rpartition("\n")[2]
    if last.startswith("MemoryError"):
        return "memory", f"more than {limits.memory_mb} MiB of memory"
    return "nonzero", ""


def _wake_at_end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> int | None:
    """Have the selector wake up when the process ends; without it, the next tick notices."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return None
    selector.register(descriptor, selectors.EVENT_READ)
    return descriptor


def _environment(scratch: str) -> Mapping[str, str]:
    """Nothing of ours. A fixed hash seed, so that the same program does the same again."""
    return {"HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
