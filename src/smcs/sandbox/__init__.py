"""Running code that an LLM has written, so that it can do no harm.

::

    sandbox = choose()                       # the strongest that holds here, or an error that says why none does
    outcome = await sandbox.run("print(1 + 1)", limits=Limits(seconds=2))
    grade = await conduct(sandbox, grader.trial(response, question))

`choose` tests a sandbox before it returns it: a short program tries to get out. Nothing falls back in silence.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from smcs.errors import SmcsError, UnknownNameError
from smcs.programs import Limits, Outcome, Program, Sandbox, Trial
from smcs.registry import did_you_mean
from smcs.sandbox import _interpreter, _selftest
from smcs.sandbox._base import ProcessSandbox
from smcs.sandbox._interpreter import Interpreter
from smcs.sandbox.bubblewrap import BubblewrapSandbox
from smcs.sandbox.landlock import LandlockSandbox
from smcs.sandbox.rlimits import RlimitsSandbox
from smcs.types import Grade

__all__ = [
    "Limits",
    "Outcome",
    "Program",
    "Sandbox",
    "SandboxUnavailableError",
    "choose",
    "conduct",
    "conduct_blocking",
]

logger = logging.getLogger(__name__)
_Build: TypeAlias = Callable[[Interpreter, int], ProcessSandbox]
_STRONG: Mapping[str, _Build] = {"bubblewrap": BubblewrapSandbox, "landlock": LandlockSandbox}
_WEAK: Mapping[str, _Build] = {"rlimits": RlimitsSandbox}
NAMES = ("auto", *_STRONG, *_WEAK)
_TRIES = 2


class SandboxUnavailableError(SmcsError):
    """The sandbox that was asked for, or any strong one, does not hold on this system."""


def choose(name: str = "auto", *, workers: int | None = None, packages: Sequence[Path] = ()) -> Sandbox:
    """A sandbox that was just seen to hold. Blocks for about a tenth of a second: it runs a program.

    Args:
        name: ``auto`` takes ``bubblewrap``, else ``landlock``. The weak ``rlimits`` has to be asked for.
        workers: runs at one time; as many as there are processors where not given.
        packages: folders with packages that programs may import besides the standard library.

    Raises:
        UnknownNameError: there is no sandbox of this name.
        SandboxUnavailableError: it does not hold here; the message says why, for each that was tried.
    """
    if name not in NAMES:
        raise UnknownNameError(f"unknown sandbox {name!r}{did_you_mean(name, list(NAMES))}")
    wanted = _STRONG if name == "auto" else {name: {**_STRONG, **_WEAK}[name]}
    interpreter = _interpreter.own(packages)
    reasons = []
    for candidate, build in wanted.items():
        try:
            sandbox = build(interpreter, workers or os.cpu_count() or 1)
        except (OSError, KeyError) as error:
            reasons.append(f"{candidate}: {_why(error)}")
            continue
        failures = _selftest.breaches(sandbox)
        if not failures or (candidate in _WEAK and _runs(sandbox)):
            logger.info("programs run in the sandbox %s: %s", candidate, sandbox.description)
            return sandbox
        reasons.append(f"{candidate}: {_meaning(failures)}")
    what = f"the sandbox {name!r} does not hold" if name != "auto" else "no sandbox for programs holds"
    advice = (
        "Install bubblewrap and allow user namespaces, or use a Linux kernel with Landlock; "
        "the weak sandbox 'rlimits' has to be asked for by name"
    )
    raise SandboxUnavailableError(f"{what} on this system ({'; '.join(reasons)}). {advice}")


async def conduct(sandbox: Sandbox, trial: Trial) -> Grade:
    """Run what a grader asks for, one program after the other, until it has its grade.

    A program that the sandbox failed to start is tried once more.
    """
    outcome: Outcome | None = None
    while True:
        # Reading a response and its outcome takes milliseconds of pure computation: not in the event loop.
        step = await asyncio.to_thread(_step, trial, outcome)
        if isinstance(step, Grade):
            return step
        for _ in range(_TRIES):
            outcome = await sandbox.run(step.source, stdin=step.stdin, limits=step.limits, files=step.files)
            if outcome.status != "sandbox_error":
                break


def conduct_blocking(sandbox: Sandbox, trial: Trial) -> Grade:
    """The same where there is no event loop, such as in a grading process."""
    outcome: Outcome | None = None
    while True:
        step = _step(trial, outcome)
        if isinstance(step, Grade):
            return step
        for _ in range(_TRIES):
            outcome = sandbox.execute(step)
            if outcome.status != "sandbox_error":
                break


def _step(trial: Trial, outcome: Outcome | None) -> Program | Grade:
    try:
        return next(trial) if outcome is None else trial.send(outcome)
    except StopIteration as end:
        grade: Grade = end.value
        return grade


def _runs(sandbox: Sandbox) -> bool:
    return sandbox.execute(Program("print('runs')")).stdout == "runs\n"


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the system calls of {error.args[0]!r} machines are not known"
    return str(error)


def _meaning(failures: list[str]) -> str:
    text = ", ".join(failures)
    if "namespace" in text or "uid map" in text or "RTM_NEWADDR" in text or "Operation not permitted" in text:
        return (
            f"{text} (a container needs to allow user namespaces; on Ubuntu 24.04 and later load the AppArmor profile "
            "bwrap-userns-restrict)"
        )
    return text
