"""Programs to be run apart from us, what they did, and what runs them.

A grader that must run code does no I/O for it: it *asks*. Its `SandboxedGrader.trial` is a generator that yields one
`Program` after the other, is sent the `Outcome` of each, and returns the `Grade`. Whoever holds a `Sandbox` drives it
(`smcs.sandbox.conduct`), so that graders stay pure and know nothing of processes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from smcs.protocols import Grader
from smcs.types import Grade, Question

Status: TypeAlias = Literal["ok", "nonzero", "timeout", "memory", "output", "killed", "sandbox_error"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. The program and all processes that it starts share them, unless stated.

    Attributes:
        seconds: wall time, from the program's first instruction. Time that it waited for a processor, because others
            kept them busy, does not count, up to three times this limit; nor does time in which the machine slept.
        cpu_seconds: processor time of each process, in whole seconds (rounded up).
        memory_mb: resident memory of all its processes together, and address space (with 128 MB more for the
            interpreter) of each, in MiB.
        processes: processes and threads at one time, the first one included.
        output_bytes: bytes written to standard output, and as many to standard error.
        file_bytes: bytes of all files in the scratch folder, and of each single file.
    """

    seconds: float = 10.0
    cpu_seconds: float = 10.0
    memory_mb: int = 512
    processes: int = 16
    output_bytes: int = 1 << 20
    file_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"the limit {name} must be positive, not {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Program:
    """A Python program to run.

    Attributes:
        source: its text.
        stdin: what it reads from standard input.
        files: contents of files to put in its scratch folder, by relative path.
    """

    source: str
    stdin: str = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        status: ``ok`` (exit status 0), ``nonzero`` (any other), ``timeout`` (wall or processor time), ``memory``,
            ``output`` (too much of it), ``killed`` (by a signal, or for another limit: see `detail`), or
            ``sandbox_error``: the program was never started.
        exit_code: as a shell gives it: 128 + signal where a signal ended it; None where we did, or nothing started.
        stdout: at most `Limits.output_bytes` of it, undecodable bytes replaced.
        stderr: the same.
        seconds: wall time that the program ran.
        detail: which limit was hit, or why nothing was started; fit to be shown to a user.
    """

    status: Status
    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    detail: str = ""


class Sandbox(Protocol):
    """Runs programs so that they can do no harm; how far, `description` says."""

    @property
    def name(self) -> str:
        """What a user calls it by."""
        ...

    @property
    def description(self) -> str:
        """What it keeps from a program and what not, in a sentence or two."""
        ...

    async def run(
        self,
        program: str,
        *,
        stdin: str = "",
        limits: Limits | None = None,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Outcome:
        """Run a Python program; waits for a free place first. Cancelling ends the program, children included.

        Raises:
            ValueError: a file's path is absolute or leads out of the scratch folder.
        """
        ...

    def execute(self, program: Program) -> Outcome:
        """The same for a caller without an event loop: blocks, and does not wait for a place."""
        ...

    async def aclose(self) -> None:
        """End what is running and free what it holds."""
        ...


Trial: TypeAlias = Generator[Program, Outcome, Grade]


@runtime_checkable
class SandboxedGrader(Grader, Protocol):
    """A grader that needs programs run. Its `grade` can only say so."""

    def trial(self, response: str, question: Question) -> Trial:
        """Judge a response: yields programs to run, is sent what they did, returns the grade."""
        ...
