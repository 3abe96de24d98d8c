"""A seccomp filter: classic BPF that the kernel runs at every system call of the program.

Everything is refused but what is allowed. Sources: ``seccomp(2)``, ``linux/filter.h``, ``linux/audit.h``.
"""

from __future__ import annotations

import struct
from errno import EACCES, ENOSYS, ENOTTY, EPERM

from smcs.sandbox import _syscalls

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # calls of the x32 ABI share x86-64's architecture word and carry this bit

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_NEW_NAMESPACES = 0x7E020000
_AF_UNIX, _SOCK_TYPE, _SOCK_STREAM = 1, 0xF, 1
_ACCESS_AND_TRUNCATE, _TRUNCATE, _TMPFILE = 0x203, 0x200, 0x400000
_PR_NAMES = (15, 16, 0x53564D41)  # set and get the thread's name, name a memory area
_TERMINAL_QUESTIONS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it one, its size, bytes to read, blocking
_OWNER_OF_SIGNALS = (8, 10, 15, 1026, 1031)  # SETOWN, SETSIG, SETOWN_EX, NOTIFY: they signal others; SETPIPE_SZ: memory


class _Assembler:
    def __init__(self) -> None:
        self.code = b""

    def add(self, operation: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        self.code += struct.pack("=HBBI", operation, if_true, if_false, value)

    def give(self, verdict: int) -> None:
        self.add(_RETURN, verdict)

    def call(self, number: int, body: _Assembler) -> None:
        """For this call the body decides; it must end in a verdict on every path."""
        self.add(_EQUAL, number, 0, len(body.code) // 8)
        self.code += body.code

    def load_argument(self, index: int, *, high: bool = False) -> None:
        self.add(_LOAD, _ARGUMENTS + 8 * index + 4 * high)


def build(machine: str, *, launch: bool, signals: bool) -> bytes:
    """The filter's instructions, 8 bytes each.

    Args:
        machine: as ``platform.machine()`` gives it.
        launch: whether the filter is in force before the interpreter is executed and has dropped its privileges.
        signals: whether the program may send signals; only where something else keeps them inside.

    Raises:
        KeyError: the calls of this machine are not known.
    """
    numbers = _syscalls.numbers(machine)
    program = _Assembler()
    program.add(_LOAD, _ARCHITECTURE)
    program.add(_EQUAL, _AUDIT_ARCH[machine], 1, 0)
    program.give(_KILL)
    program.add(_LOAD, _NUMBER)
    if machine == "x86_64":
        program.add(_AT_LEAST, _X32, 0, 1)
        program.give(_KILL)
    rules = _rules()
    allowed = [*_syscalls.ALLOWED, *(_syscalls.LAUNCH * launch), *(_syscalls.SIGNALLING * signals)]
    rules |= {name: _just(_ALLOW) for name in allowed}
    for name in _syscalls.REFUSED:
        rules.setdefault(name, _just(_ERRNO | EPERM))
    for name, body in rules.items():
        if name in numbers:
            program.call(numbers[name], body)
    # "Not implemented" and not "not permitted": the C library then falls back to an older call (clone3 to clone).
    program.give(_ERRNO | ENOSYS)
    return program.code


def _just(verdict: int) -> _Assembler:
    body = _Assembler()
    body.give(verdict)
    return body


def _rules() -> dict[str, _Assembler]:
    """Calls that depend on their arguments."""
    return {
        "clone": _unless_bits(0, _NEW_NAMESPACES),
        "socketpair": _socketpair(),
        "sendto": _sendto(),
        "open": _open(1),
        "openat": _open(2),
        "prctl": _one_of(0, _PR_NAMES, EPERM),
        "ioctl": _one_of(1, _TERMINAL_QUESTIONS, ENOTTY),
        "fcntl": _none_of(1, _OWNER_OF_SIGNALS),
        "prlimit64": _one_of(0, (0,), EPERM),
    }


def _unless_bits(argument: int, bits: int) -> _Assembler:
    body = _Assembler()
    body.load_argument(argument)
    body.add(_ANY_BIT, bits, 0, 1)
    body.give(_ERRNO | EPERM)
    body.give(_ALLOW)
    return body


def _one_of(argument: int, values: tuple[int, ...], error: int) -> _Assembler:
    body = _Assembler()
    body.load_argument(argument)
    for value in values:
        body.add(_EQUAL, value, 0, 1)
        body.give(_ALLOW)
    body.give(_ERRNO | error)
    return body


def _none_of(argument: int, values: tuple[int, ...]) -> _Assembler:
    body = _Assembler()
    body.load_argument(argument)
    for value in values:
        body.add(_EQUAL, value, 0, 1)
        body.give(_ERRNO | EPERM)
    body.give(_ALLOW)
    return body


def _socketpair() -> _Assembler:
    """Stream pairs only: the event loop's way to wake itself. A datagram pair could send to any socket's address."""
    body = _Assembler()
    body.load_argument(0)
    body.add(_EQUAL, _AF_UNIX, 1, 0)
    body.give(_ERRNO | EPERM)
    body.load_argument(1)
    body.add(_AND, _SOCK_TYPE)
    body.add(_EQUAL, _SOCK_STREAM, 1, 0)
    body.give(_ERRNO | EPERM)
    body.give(_ALLOW)
    return body


def _sendto() -> _Assembler:
    """Along a pair, never to an address."""
    body = _Assembler()
    for high in (False, True):
        body.load_argument(4, high=high)
        body.add(_EQUAL, 0, 1, 0)
        body.give(_ERRNO | EPERM)
    body.give(_ALLOW)
    return body


def _open(flags: int) -> _Assembler:
    """No nameless files, which a look at the folder would not see; no truncation through a right to read."""
    body = _Assembler()
    body.load_argument(flags)
    body.add(_ANY_BIT, _TMPFILE, 0, 1)
    body.give(_ERRNO | EACCES)
    body.add(_AND, _ACCESS_AND_TRUNCATE)
    body.add(_EQUAL, _TRUNCATE, 0, 1)
    body.give(_ERRNO | EACCES)
    body.give(_ALLOW)
    return body
