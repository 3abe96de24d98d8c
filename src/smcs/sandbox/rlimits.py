"""The weakest sandbox: a process with resource limits. For where nothing better is to be had, and only by name."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from smcs.programs import Limits
from smcs.sandbox import _watch
from smcs.sandbox._base import ProcessSandbox
from smcs.sandbox._supervise import Launch
from smcs.sandbox.landlock import kept


class RlimitsSandbox(ProcessSandbox):
    """The sandbox ``rlimits``."""

    name = "rlimits"

    @property
    def description(self) -> str:
        """What it keeps from a program and what not."""
        text = (
            "resource limits only: bounds time, output and the size of a file, and gives the program a clean "
            "environment. Does NOT keep it from the network, nor from reading, changing and deleting any file of "
            "yours, nor from signalling your processes. Only for programs that you trust."
        )
        if not _watch.available():
            text += " Here it bounds neither memory nor the number of processes, and daemons survive."
        return text

    @contextlib.contextmanager
    def _launch(self, job: dict[str, Any], limits: Limits) -> Iterator[Launch]:
        with kept(job, limits, user=None) as launch:
            launch.job["strict"] = sys.platform == "linux"
            launch.command = self._python("_boot_keeper")
            yield launch
