"""Driving a grader that asks for programs to be run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from smcs.graders.code import CodeGrader
from smcs.programs import Limits, Outcome, Program, Trial
from smcs.sandbox import conduct, conduct_blocking
from smcs.types import Grade, Question

FINE = Outcome("ok", 0, "out", "", 0.1)
BROKEN = Outcome("sandbox_error", None, "", "", 0.0, "no processes left")


class Scripted:
    """Gives the outcomes it was made with, and keeps what it was asked to run."""

    name = "scripted"
    description = ""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.ran: list[Program] = []

    async def run(
        self,
        program: str,
        *,
        stdin: str = "",
        limits: Limits | None = None,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Outcome:
        return self.execute(Program(program, stdin, files or {}, limits or Limits()))

    def execute(self, program: Program) -> Outcome:
        self.ran.append(program)
        return self.outcomes.pop(0)

    async def aclose(self) -> None: ...


def two_programs() -> Trial:
    first = yield Program("first", "in", {"a": "b"}, Limits(seconds=3))
    if first.status == "sandbox_error":
        return Grade(None, reason=first.detail)
    second = yield Program("second")
    return Grade(second.stdout == "out")


@pytest.mark.parametrize(
    ("outcomes", "ran", "grade"),
    [
        ((FINE, FINE), ["first", "second"], Grade(True)),
        ((BROKEN, FINE, FINE), ["first", "first", "second"], Grade(True)),
        ((BROKEN, BROKEN), ["first", "first"], Grade(None, reason="no processes left")),
    ],
)
async def test_programs_run_in_turn(outcomes: tuple[Outcome, ...], ran: list[str], grade: Grade) -> None:
    for blocking in (False, True):
        sandbox = Scripted(*outcomes)
        trial = two_programs()
        assert (conduct_blocking(sandbox, trial) if blocking else await conduct(sandbox, trial)) == grade
        assert [program.source for program in sandbox.ran] == ran
        assert sandbox.ran[0] == Program("first", "in", {"a": "b"}, Limits(seconds=3))


async def test_a_grader_that_needs_nothing_run() -> None:
    trial = CodeGrader().trial("No program here.", Question("Write it.", meta={"tests": ["assert f() == 1"]}))
    assert await conduct(Scripted(), trial) == Grade(False, reason="no program in the response")
