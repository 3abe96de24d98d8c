"""Grading in processes of their own: beside generation, never in its way, and safe from a grader that hangs or dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from smcs import registry
from smcs.errors import BankError, SmcsError
from smcs.graders import _function
from smcs.protocols import Grader
from smcs.types import Grade, Question

TIME_LIMIT_S = 300.0
"""Longest that one grade may take, unless the grader has a `time_limit_s` of its own."""
_BATCH = 32
_GATHER_S = 0.02
"""How long responses are waited for before the first of them is sent: a process that wakes for each works twice."""
_START_S = 120.0
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class ToGrade:
    """A response that waits for its grade; `tag` is the caller's own."""

    tag: Any
    text: str
    question: Question


@dataclass(frozen=True, slots=True)
class Reply:
    """What a grading process says of one response.

    Attributes:
        later: whether it could be graded elsewhere: only this system lacks what that takes.
    """

    grade: Grade
    later: bool = False

    def to_json(self) -> bytes:
        """As it is sent."""
        return json.dumps([self.grade.correct, self.grade.extracted, self.grade.reason, self.later]).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> Self:
        """The reverse."""
        correct, extracted, reason, later = json.loads(line)
        return cls(Grade(correct, extracted, reason), later)


def find_grader(name: str) -> Grader:
    """The grader that a question names: a plug-in, or a function of the user's (``module:function``).

    Raises:
        UnknownNameError: there is none.
    """
    if _function.is_function(name):
        return _function.load(name)
    grader: Grader = registry.find("graders", name).create()
    return grader


@dataclass(slots=True)
class Graders:
    """The graders by name, each looked up once."""

    _found: dict[str, Grader] = field(default_factory=dict)

    def get(self, name: str) -> Grader:
        """The grader of this name.

        Raises:
            UnknownNameError: there is none.
        """
        if name not in self._found:
            self._found[name] = find_grader(name)
        return self._found[name]

    def version(self, name: str) -> str | None:
        """Its version; None where there is no such grader."""
        try:
            return self.get(name).version
        except SmcsError:
            return None


class GradingPool:
    """Grades responses in child processes. An async context manager; leaving it ends the processes.

    Args:
        graded: told of each grade, in the event loop.
        postponed: told of responses that can be graded only where there is a sandbox, and why there is none here;
            by default they are not gradable.
        workers: number of processes; they start when there is something to grade.
        time_limit_s: longest that one grade may take; by default the grader's own, or `TIME_LIMIT_S`.
        sandbox: name of the sandbox for graders that run programs (see `smcs.sandbox.choose`).
    """

    def __init__(
        self,
        graded: Callable[[ToGrade, Grade], None],
        *,
        postponed: Callable[[ToGrade, str], None] | None = None,
        workers: int | None = None,
        time_limit_s: float | None = None,
        sandbox: str = "auto",
    ) -> None:
        self._graded = graded
        self._postponed = postponed
        self._sandbox = sandbox
        self._workers = workers or max(1, (os.cpu_count() or 2) // 2)
        self._time_limit_s = time_limit_s
        self._graders = Graders()
        self._queue: asyncio.Queue[ToGrade] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def put(self, item: ToGrade) -> None:
        """Have a response graded."""
        self._queue.put_nowait(item)

    @property
    def waiting(self) -> int:
        """Number of responses that no process has taken yet."""
        return self._queue.qsize()

    async def room(self, most: int) -> None:
        """Wait until no more than `most` responses are waiting."""
        while self.waiting > most:
            self._taken.clear()
            await self._taken.wait()

    async def join(self) -> None:
        """Wait until all is graded.

        Raises:
            BankError: the process that grades does not start.
        """
        done = asyncio.create_task(self._queue.join())
        try:
            await asyncio.wait([done, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    task.result()
        finally:
            done.cancel()

    async def _work(self) -> None:
        child: _Child | None = None
        suspect: ToGrade | None = None
        try:
            while True:
                batch = [await self._queue.get()]
                if self._queue.qsize() < _BATCH - 1:
                    await asyncio.sleep(_GATHER_S)
                while len(batch) < _BATCH and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                self._taken.set()
                while batch:
                    child = child or await _Child.start(self._sandbox)
                    end = await self._grade(child, batch, suspect)
                    batch, suspect = batch[end.graded :], end.suspect
                    if not end.alive:
                        await child.end()
                        child = None
        finally:
            if child is not None:
                await child.end()

    async def _grade(self, child: _Child, batch: list[ToGrade], suspect: ToGrade | None) -> _End:
        """Grade a batch in one child, as far as that goes. `suspect` is a response that a child has died of."""
        child.send(batch)
        for done, item in enumerate(batch):
            limit = self._limit(item.question.grader)
            try:
                reply = await child.receive(limit)
            except TimeoutError:
                self._tell(item, Grade(None, reason=f"the grader took longer than {limit:g} s"))
                return _End(done + 1, alive=False)
            if reply is None and item is not suspect:
                return _End(done, alive=False, suspect=item)  # it gets one more try
            if reply is None:
                self._tell(item, Grade(None, reason=f"the grader {item.question.grader!r} crashed on this response"))
                return _End(done + 1, alive=False)
            self._pass_on(item, reply)
        return _End(len(batch))

    def _pass_on(self, item: ToGrade, reply: Reply) -> None:
        if reply.later and self._postponed is not None:
            self._postponed(item, reply.grade.reason)
            self._queue.task_done()
        else:
            self._tell(item, reply.grade)

    def _tell(self, item: ToGrade, grade: Grade) -> None:
        self._graded(item, grade)
        self._queue.task_done()

    def _limit(self, grader: str) -> float:
        if self._time_limit_s is not None:
            return self._time_limit_s
        try:
            return float(getattr(self._graders.get(grader), "time_limit_s", TIME_LIMIT_S))
        except SmcsError:
            return TIME_LIMIT_S


@dataclass(frozen=True, slots=True)
class _End:
    """How far a batch got: how many were graded, whether the child lives, and what it died of the first time."""

    graded: int
    alive: bool = True
    suspect: ToGrade | None = None


class _Child:
    """A process that reads responses and writes grades, one JSON line each (see `smcs.bank._grading_child`)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: deque[bytes] = deque()
        self._rest = b""

    @classmethod
    async def start(cls, sandbox: str) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the working folder is no place to import from
            "-m",
            "smcs.bank._grading_child",
            sandbox,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            start_new_session=True,  # Ctrl-C is the parent's business; the child ends with its standard input
        )
        child = cls(process)
        try:
            ready = await child.receive(_START_S)
        except BaseException as error:
            await child.end()
            if isinstance(error, TimeoutError):
                raise BankError(f"the process that grades did not start within {_START_S:g} s") from None
            raise
        if ready is None:
            await child.end()
            raise BankError("the process that grades ended as it started")
        return child

    def send(self, batch: list[ToGrade]) -> None:
        assert self._process.stdin is not None
        lines = [json.dumps(_to_json(item.text, item.question)) for item in batch]
        self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    async def receive(self, limit_s: float) -> Reply | None:
        """The next reply; None where the process has died.

        Raises:
            TimeoutError: there is none within the limit.
        """
        assert self._process.stdout is not None
        if not self._lines:
            async with asyncio.timeout(limit_s):
                while not self._lines:
                    data = await self._process.stdout.read(_PIECE)
                    if not data:
                        return None
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    self._lines.extend(lines)
        return Reply.from_json(self._lines.popleft())

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _to_json(text: str, question: Question) -> Mapping[str, Any]:
    return {
        "response": text,
        "question": {
            "text": question.text,
            "id": question.id,
            "answer": question.answer,
            "grader": question.grader,
            "benchmark": question.benchmark,
            "system": question.system,
            "options": question.options,
            "meta": dict(question.meta),
        },
    }
