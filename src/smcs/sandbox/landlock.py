"""The second sandbox: Landlock and seccomp, for where namespaces are not to be had (many containers).

No other program is needed, only the kernel (5.13 or newer with Landlock enabled). A program confines itself before it
starts; a keeper process outside ends whatever it leaves behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import platform
import re
import secrets
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smcs.programs import Limits
from smcs.sandbox import _seccomp, _watch
from smcs.sandbox._base import ProcessSandbox, spare_users, with_processes
from smcs.sandbox._interpreter import Interpreter
from smcs.sandbox._supervise import Launch

_FIRST_RIGHTS, _REFER, _TRUNCATE, _IOCTL = 0x1FFF, 1 << 13, 1 << 14, 1 << 15
_READ, _LIST, _WRITE, _MAKE_FOLDER, _MAKE_FILE = 1 << 2, 1 << 3, 1 << 1, 1 << 7, 1 << 8
_TCP = 0x3
_SCOPES = 0x3  # abstract sockets and signals stay inside
_SIGNALS_SINCE = 6
_CAP_DAC_READ_SEARCH = 1 << 2


class LandlockSandbox(ProcessSandbox):
    """The sandbox ``landlock``.

    Args:
        interpreter: what runs the programs.
        workers: runs at one time.
        version: of Landlock, to use less than the kernel's.

    Raises:
        OSError: the kernel has no Landlock, the system does not tell what processes use, or the interpreter cannot be
            made to run without our rights.
        KeyError: the system calls of this machine are not known.
    """

    name = "landlock"

    def __init__(self, interpreter: Interpreter, workers: int, *, version: int | None = None) -> None:
        super().__init__(interpreter, workers)
        _watch.require()
        kernels = landlock_version()
        if kernels < 1:
            raise OSError("the kernel has no Landlock, or it is not enabled")
        self._version = min(version or kernels, kernels)
        self._filter = _seccomp.build(platform.machine(), launch=False, signals=self._version >= _SIGNALS_SINCE)
        users = spare_users()
        self._users = itertools.cycle(users[secrets.randbelow(len(users)) :]) if users else None
        self._keep_search = bool(users) and not interpreter.reachable_by_others()
        if self._keep_search and not _may_search():
            raise OSError(f"the interpreter {interpreter.executable} lies in a private folder of root")

    @property
    def description(self) -> str:
        """What it keeps from a program and what not."""
        return (
            "Landlock with seccomp: no network, no files but a scratch folder and the interpreter (read-only), no "
            "signals to others. A program can see whether a file exists, its size and dates and where a link points, "
            "but cannot delete files, not even its own. Does not protect from a hole in the kernel."
        )

    @contextlib.contextmanager
    def _launch(self, job: dict[str, Any], limits: Limits) -> Iterator[Launch]:
        user = next(self._users) if self._users else None
        with kept(job, limits, user) as launch:
            launch.job |= {"landlock": self._landlock(launch.job["scratch"]), "seccomp": self._filter}
            launch.job["keep_search"] = self._keep_search
            launch.command = self._python("_boot_keeper")
            yield launch

    def _landlock(self, scratch: str) -> dict[str, Any]:
        rights = _FIRST_RIGHTS
        write = _READ | _LIST | _WRITE | _MAKE_FOLDER | _MAKE_FILE
        for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL)):
            rights |= right * (self._version >= since)
        write |= _TRUNCATE * (self._version >= 3)
        words = [rights]
        if self._version >= 4:
            words.append(_TCP)
        if self._version >= _SIGNALS_SINCE:
            words.append(_SCOPES)
        return {
            "ruleset": struct.pack(f"={len(words)}Q", *words),
            "allowed": [
                *((str(path), _READ | _LIST if path.is_dir() else _READ) for path in self._interpreter.readable),
                (scratch, write),
                ("/dev/null", _READ | _WRITE),
                ("/dev/urandom", _READ),
            ],
        }


@contextlib.contextmanager
def kept(job: dict[str, Any], limits: Limits, user: int | None) -> Iterator[Launch]:
    """A run with a keeper process and a scratch folder on disk, which is deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="smcs-sandbox-"))
    hang_up, control = os.pipe()
    try:
        if user is not None:
            os.chown(folder, user, user)
        else:
            job["rlimits"] = with_processes(job["rlimits"], limits.processes + _others())
        job |= {"keeper": True, "scratch": str(folder), "user": user, "control": hang_up}
        job |= {"landlock": None, "seccomp": None, "keep_search": False}
        yield Launch([], job, inherited=(hang_up,), control=control, ours=1, folder=folder)
    finally:
        os.close(hang_up)
        _watch.remove(folder)


def _others() -> int:
    """How many processes and threads the user may have besides: the limit counts all of a user's, so that here it can
    only be an emergency brake above those that there are.
    """
    there = re.match(r"\S+ \S+ \S+ \d+/(\d+)", _text("/proc/loadavg"))
    return 32 + (int(there[1]) if there else 4096)


def landlock_version() -> int:
    """The version of Landlock that the kernel offers; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(ctypes.c_long(444), None, ctypes.c_long(0), ctypes.c_long(1))))


def _may_search() -> bool:
    held = re.search(r"^CapPrm:\s*(\w+)$", _text("/proc/self/status"), re.MULTILINE)
    return bool(held and int(held[1], 16) & _CAP_DAC_READ_SEARCH)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
