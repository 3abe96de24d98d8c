"""The part of `_boot` for sandboxes without a process namespace; its text follows that one's.

The process splits in two. The keeper stays outside, adopts every process that the program leaves behind, and ends
them all when the program ends or the supervisor hangs up (closes its end of the control pipe, or dies). The other one
confines itself by Landlock and seccomp, and runs the program. Sources: ``landlock(7)``, ``prctl(2)``, ``capget(2)``,
``linux/landlock.h``.
"""

from __future__ import annotations

import os
import select
import struct

TYPE_CHECKING = False  # typing itself takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

PR_SET_SECCOMP, PR_SET_KEEPCAPS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 22, 8, 36, 38
SECCOMP_MODE_FILTER = 2
SIGKILL = 9  # the module signal imports enum
SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 444, 445, 446
CAPABILITY_VERSION, CAP_DAC_READ_SEARCH = 0x20080522, 2


def keep(job: dict[str, Any]) -> None:
    """Split; returns in the process that is to run the program, never in the keeper."""
    control = job["control"]
    adopts = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110
    if adopts:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if not child:
        os.close(control)
        os.setsid()
        return
    os.close(job["ready"])
    os.close(0)
    exit_status = wait_for(child, control)
    end_all(child, adopts)
    os._exit(os.waitstatus_to_exitcode(exit_status) % 256 if os.WIFEXITED(exit_status) else 128 + exit_status % 128)


def wait_for(child: int, control: int) -> int:
    """Wait until the child has ended or the supervisor hangs up; returns the wait status."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    if hasattr(os, "pidfd_open"):
        poll.register(os.pidfd_open(child), select.POLLIN)
    while True:
        hung_up = any(where == control for where, _ in poll.poll(20 if not hasattr(os, "pidfd_open") else None))
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        if hung_up:
            return SIGKILL


def end_all(child: int, adopts: bool) -> None:
    """Kill until nobody is left. Orphans become ours, so that in the end they all are our children.

    Where we cannot adopt, only the child and its process group are killed.
    """
    while True:
        if adopts:
            for pid in descendants():
                kill(pid)
        else:
            kill(-child)
            kill(child)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        select.poll().poll(1)  # a millisecond for the kernel


def kill(pid: int) -> None:
    """Kill a process, or, below zero, a process group."""
    try:  # noqa: SIM105  one import less
        os.kill(pid, SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def descendants() -> list[int]:
    """All processes below this one."""
    found = []
    left = [os.getpid()]
    while left:
        below = children(left.pop())
        found += below
        left += below
    return found


def children(pid: int) -> list[int]:
    """The children of a process, by whichever of its threads they were made."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def confine(job: dict[str, Any]) -> None:
    """Become another user where we are root, then give up files, network and most system calls, for good."""
    if job["user"]:
        change_user(job["user"], keep_search=job["keep_search"])
    if job["landlock"]:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_files(job["landlock"])
    if job["seccomp"]:
        restrict_calls(job["seccomp"])


def change_user(user: int, *, keep_search: bool) -> None:
    """Become another user; keep the right to pass through folders where the interpreter lies in a private one."""
    import ctypes  # noqa: PLC0415

    prctl(PR_SET_KEEPCAPS, int(keep_search))
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if keep_search:
        mask = 1 << CAP_DAC_READ_SEARCH
        header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION, 0))
        sets = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, 0, 0, 0, 0))
        check(libc().capset(header, sets))
        prctl(PR_SET_KEEPCAPS, 0)


def restrict_files(landlock: dict[str, Any]) -> None:
    """Landlock: only these paths, only with these rights."""
    import ctypes  # noqa: PLC0415

    ruleset = landlock["ruleset"]
    rules = check(call(SYS_LANDLOCK_CREATE, ctypes.create_string_buffer(ruleset, len(ruleset)), len(ruleset), 0))
    for path, rights in landlock["allowed"]:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        check(call(SYS_LANDLOCK_ADD, rules, 1, ctypes.create_string_buffer(struct.pack("=Qi", rights, place)), 0))
        os.close(place)
    check(call(SYS_LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)


def restrict_calls(instructions: bytes) -> None:
    """Install the seccomp filter."""
    import ctypes  # noqa: PLC0415

    code = ctypes.create_string_buffer(instructions, len(instructions))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions) // 8, ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(head))


def libc() -> Any:
    """The C library."""
    import ctypes  # noqa: PLC0415

    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, first: int, second: int = 0) -> None:
    """Change a property of this process, or fail."""
    import ctypes  # noqa: PLC0415

    check(libc().prctl(option, *(ctypes.c_ulong(value) for value in (first, second, 0, 0))))


def call(number: int, *arguments: Any) -> int:
    """A system call for which the C library has no name."""
    import ctypes  # noqa: PLC0415

    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = libc().syscall(ctypes.c_long(number), *wide)
    return result


def check(result: int) -> int:
    """The result, or the error that it stands for."""
    import ctypes  # noqa: PLC0415

    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
