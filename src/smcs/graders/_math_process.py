"""A child process for symbolic comparison, started when it is first needed, and again after one that ran away.

Works from any thread and from any process, pool workers included: math-verify's own time limit is a signal that only a
main thread can have, and that does not interrupt a long computation on large integers.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

CPU_SECONDS = 5.0
"""Processor time, not clock time, that one comparison may take: a grade must not depend on how busy the machine is."""
WALL_SECONDS = 300.0
"""Where even that clock stands still (a machine that swaps, a stopped process)."""


class RanAwayError(Exception):
    """It could not be computed within the limits."""


class MathProcess:
    """Equality and normal forms of LaTeX expressions, computed in a child process under limits.

    Args:
        cpu_seconds: processor time that one request may take.
    """

    def __init__(self, cpu_seconds: float = CPU_SECONDS) -> None:
        self._cpu_seconds = cpu_seconds
        self._reset()

    def equal(self, gold: str, answer: str) -> bool:
        """Whether the two expressions have the same value.

        Raises:
            RanAwayError: it could not be told within the limits.
        """
        return bool(self._ask({"gold": gold, "answer": answer}).get("equal", False))

    def form(self, answer: str) -> str | None:
        """One text for all ways to write this value; None where there is none.

        Raises:
            RanAwayError: it could not be told within the limits.
        """
        form = self._ask({"answer": answer}).get("form")
        return None if form is None else str(form)

    def close(self) -> None:
        """End the child. The next request starts another."""
        with self._lock:
            self._end()

    def __getstate__(self) -> dict[str, Any]:
        return {"cpu_seconds": self._cpu_seconds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["cpu_seconds"])  # type: ignore[misc]

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._connection: Connection | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        if self._pid != os.getpid():  # after a fork the child belongs to the parent process
            if self._finalizer is not None:
                self._finalizer.detach()
            self._reset()
        with self._lock:
            connection = self._connection or self._start()
            try:
                connection.send_bytes(json.dumps(request).encode())
                reply = self._receive(connection)
            except (EOFError, OSError) as error:
                self._end()
                raise RanAwayError(f"comparison ended after {self._cpu_seconds:g} s of processor time") from error
        if "error" in reply:
            raise RanAwayError(f"comparison failed: {reply['error']}")
        return reply

    def _receive(self, connection: Connection) -> dict[str, Any]:
        if not connection.poll(WALL_SECONDS):
            raise EOFError
        reply: dict[str, Any] = json.loads(connection.recv_bytes())
        return reply

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        with theirs:
            process = subprocess.Popen(  # noqa: S603  (our own module)
                # -P: neither the working folder nor this package's is to be searched for `math` and the like.
                [sys.executable, "-P", "-m", "smcs.graders._math_child", str(theirs.fileno()), str(self._cpu_seconds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                start_new_session=True,  # Ctrl-C is the parent's business; the child ends when the pipe closes
            )
        self._finalizer = weakref.finalize(self, _end_process, process, ours)
        self._connection = ours
        try:
            self._receive(ours)
        except (EOFError, OSError) as error:
            self._end()
            raise RanAwayError("the process for symbolic comparison did not start: is math-verify there?") from error
        return ours

    def _end(self) -> None:
        self._connection = None
        if self._finalizer is not None:
            self._finalizer()


def _end_process(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
