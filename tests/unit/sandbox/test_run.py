"""Running, waiting, cancelling: the same for every sandbox, tried with the one that works everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from smcs.programs import Limits, Program
from smcs.sandbox import choose
from smcs.sandbox._base import ProcessSandbox
from smcs.sandbox._interpreter import Interpreter, own
from smcs.sandbox.rlimits import RlimitsSandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    made = RlimitsSandbox(own(), workers=2)
    yield made
    await made.aclose()


async def test_run(sandbox: ProcessSandbox) -> None:
    outcome = await sandbox.run(
        "import sys; print(input(), open('a/b').read()); sys.exit(4)", stdin="in", files={"a/b": b"file"}
    )
    assert (outcome.status, outcome.exit_code, outcome.stdout, outcome.stderr) == ("nonzero", 4, "in file\n", "")
    assert outcome.seconds > 0


async def test_no_more_at_once_than_there_are_places(sandbox: ProcessSandbox) -> None:
    """Each run writes when it begins and ends, on the clock that all processes share."""
    source = "import time; a = time.monotonic(); time.sleep(0.05); print(a, time.monotonic())"
    outcomes = await asyncio.gather(*(sandbox.run(source) for _ in range(6)))
    times = [tuple(map(float, outcome.stdout.split())) for outcome in outcomes]
    for begun, _ in times:
        assert sum(other_begun <= begun < other_ended for other_begun, other_ended in times) <= 2


async def test_cancelling_ends_the_program(sandbox: ProcessSandbox) -> None:
    begun = time.monotonic()
    task = asyncio.create_task(sandbox.run("import time; time.sleep(600)", limits=Limits(seconds=600)))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < 300
    assert (await sandbox.run("print(1)")).stdout == "1\n"


async def test_cancelling_what_waits_does_not_wait() -> None:
    sandbox = RlimitsSandbox(own(), workers=1)
    running = asyncio.create_task(sandbox.run("import time; time.sleep(600)", limits=Limits(seconds=600)))
    waiting = asyncio.create_task(sandbox.run("print(1)"))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sandbox.aclose()


async def test_text_that_is_no_text(sandbox: ProcessSandbox) -> None:
    source = "import sys; print(sys.stdin.buffer.read(), open('f', 'rb').read())"
    outcome = await sandbox.run(source, stdin="\ud800", files={"f": "\udcff"})
    assert outcome.stdout == "b'\\xed\\xa0\\x80' b'\\xed\\xb3\\xbf'\n"


async def test_closing_ends_what_runs_and_what_waits() -> None:
    sandbox = RlimitsSandbox(own(), workers=1)
    tasks = [asyncio.create_task(sandbox.run("import time; time.sleep(600)")) for _ in range(3)]
    await asyncio.sleep(0.2)
    await sandbox.aclose()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, asyncio.CancelledError) or getattr(outcome, "detail", "") == "the run was cancelled"


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", "a\0b"])
async def test_files_stay_in_their_folder(sandbox: ProcessSandbox, path: str) -> None:
    with pytest.raises(ValueError, match="inside its folder"):
        await sandbox.run("pass", files={path: "x"})
    with pytest.raises(ValueError, match="inside its folder"):
        sandbox.execute(Program("pass", files={path: "x"}))


async def test_what_cannot_start_is_no_fault_of_the_program(sandbox: ProcessSandbox) -> None:
    real = own()
    broken = RlimitsSandbox(Interpreter(real.executable.with_name("no-such-python"), real.readable), workers=1)
    outcome = await broken.run("print(1)")
    assert outcome.status == "sandbox_error"
    assert "no-such-python cannot be started" in outcome.detail
    await broken.aclose()


@pytest.mark.parametrize("name", ["seconds", "cpu_seconds", "memory_mb", "processes", "output_bytes", "file_bytes"])
def test_limits_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


def test_from_a_program_without_an_event_loop() -> None:
    assert choose("rlimits").execute(Program("print('alone')")).stdout == "alone\n"
