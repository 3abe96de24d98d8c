"""The filter, run by a small interpreter of its instructions: also for the machine that this is not."""

from __future__ import annotations

import errno
import struct

import pytest

from smcs.sandbox import _seccomp, _syscalls

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000


def verdict(code: bytes, machine: str, name: str | int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do with this call."""
    number = name if isinstance(name, int) else _syscalls.numbers(machine)[name]
    padded = [argument & (1 << 64) - 1 for argument in (*arguments, 0, 0, 0, 0, 0, 0)][:6]
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", code))
    at = value = 0
    while True:
        operation, if_true, if_false, constant = instructions[at]
        at += 1
        if operation == 0x06:
            return int(constant)
        if operation == 0x20:
            value = struct.unpack_from("=I", data, constant)[0]
        elif operation == 0x54:
            value &= constant
        else:
            true = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[operation]
            at += if_true if true else if_false


def refused(error: int) -> int:
    return 0x00050000 | error


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", ["read", "write", "mmap", "futex", "openat", "exit_group", "getrandom", "wait4"])
def test_ordinary_calls_are_allowed(machine: str, name: str) -> None:
    assert verdict(_seccomp.build(machine, launch=False, signals=False), machine, name) == ALLOW


@pytest.mark.parametrize(
    "name",
    ["socket", "connect", "bind", "sendmsg", "ptrace", "process_vm_readv", "mount", "unshare", "setns", "bpf",
     "keyctl", "memfd_create", "shmget", "fchmodat", "fchownat", "utimensat", "truncate", "linkat", "symlinkat",
     "perf_event_open", "pidfd_open", "open_by_handle_at", "userfaultfd", "sched_setaffinity", "setpriority",
     "execveat"],
)  # fmt: skip
def test_dangerous_calls_are_not_permitted(machine: str, name: str) -> None:
    for launch, signals in ((False, False), (True, True)):
        code = _seccomp.build(machine, launch=launch, signals=signals)
        assert verdict(code, machine, name) == refused(errno.EPERM)


def test_what_nobody_knows_is_not_implemented(machine: str) -> None:
    code = _seccomp.build(machine, launch=True, signals=True)
    for number in (425, 426, 427, 435, 999, 5_000):  # io_uring, clone3, and calls to come
        assert verdict(code, machine, number) == refused(errno.ENOSYS)


def test_another_architecture_is_killed(machine: str) -> None:
    code = _seccomp.build(machine, launch=True, signals=True)
    assert verdict(code, machine, "read", architecture=0x40000003) == KILL


def test_x32_is_killed() -> None:
    code = _seccomp.build("x86_64", launch=True, signals=True)
    assert verdict(code, "x86_64", 0x40000000 + 41) == KILL


def test_launching_and_signalling_have_to_be_asked_for(machine: str) -> None:
    bare = _seccomp.build(machine, launch=False, signals=False)
    full = _seccomp.build(machine, launch=True, signals=True)
    for name in ("execve", "setresuid", "setgroups", "kill", "tgkill"):
        assert verdict(bare, machine, name) == refused(errno.EPERM)
        assert verdict(full, machine, name) == ALLOW


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x3D0F00,), ALLOW),  # a thread
        ("clone", (17,), ALLOW),  # a process
        ("clone", (0x10000000,), refused(errno.EPERM)),  # a user namespace
        ("clone", (0x40000000 | 17,), refused(errno.EPERM)),
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (1, 1 | 0o2000000), ALLOW),  # closed on exec
        ("socketpair", (1, 2), refused(errno.EPERM)),
        ("socketpair", (2, 1), refused(errno.EPERM)),
        ("sendto", (3, 0x1000, 1, 0, 0), ALLOW),
        ("sendto", (3, 0x1000, 1, 0, 0x7F0000000000), refused(errno.EPERM)),
        ("sendto", (3, 0x1000, 1, 0, 0x1000), refused(errno.EPERM)),
        ("openat", (-100, 0x1000, 0), ALLOW),
        ("openat", (-100, 0x1000, 0x241), ALLOW),  # write, create, truncate
        ("openat", (-100, 0x1000, 0x200), refused(errno.EACCES)),  # read, truncate
        ("openat", (-100, 0x1000, 0x410002), refused(errno.EACCES)),  # nameless
        ("prctl", (15,), ALLOW),
        ("prctl", (4,), refused(errno.EPERM)),
        ("ioctl", (1, 0x5401), ALLOW),
        ("ioctl", (1, 0x5412), refused(errno.ENOTTY)),  # type into a terminal
        ("fcntl", (1, 3), ALLOW),
        ("fcntl", (1, 8), refused(errno.EPERM)),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (1,), refused(errno.EPERM)),
    ],
)
def test_calls_that_depend_on_their_arguments(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert verdict(_seccomp.build(machine, launch=False, signals=False), machine, name, *arguments) == expected


def test_every_path_ends_in_a_verdict(machine: str) -> None:
    """Jumps stay inside, and the length is what the kernel takes."""
    code = _seccomp.build(machine, launch=True, signals=True)
    instructions = list(struct.iter_unpack("=HBBI", code))
    assert len(instructions) <= 4096
    assert instructions[-1][0] == 0x06
    for at, (operation, if_true, if_false, _) in enumerate(instructions):
        if operation in (0x15, 0x35, 0x45):
            assert at + 1 + max(if_true, if_false) < len(instructions)


def test_an_unknown_machine_is_an_error() -> None:
    with pytest.raises(KeyError):
        _seccomp.build("riscv64", launch=True, signals=True)
