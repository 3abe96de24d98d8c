from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from smcs.bank.grading import GradingPool, ToGrade
from smcs.types import Grade, Question

CHOICE = Question("?", answer="B", grader="choice", options=("one", "two"))
RUNAWAY = Question("?", answer=r"(a+)+b", grader="regex")


async def graded(items: list[ToGrade], **options: Any) -> dict[Any, Grade]:
    grades: dict[Any, Grade] = {}
    async with GradingPool(lambda item, grade: grades.__setitem__(item.tag, grade), **options) as pool:
        for item in items:
            pool.put(item)
        await asyncio.wait_for(pool.join(), 60)
    return grades


async def test_responses_are_graded_in_another_process() -> None:
    texts = ["The answer is B.", "A", "no letter \ud83d here", "The answer is (B)" + " x" * 200_000]
    grades = await graded([ToGrade(i, text, CHOICE) for i, text in enumerate(texts)], workers=2)
    assert [grades[i].correct for i in range(4)] == [True, False, False, True]
    assert grades[0].extracted == "B"


async def test_a_grader_that_hangs_is_stopped_and_the_others_are_graded() -> None:
    items = [ToGrade(i, "The answer is B", CHOICE) for i in range(3)]
    items.insert(1, ToGrade("hangs", "a" * 60, RUNAWAY))
    grades = await graded(items, workers=1, time_limit_s=1.0)
    assert grades["hangs"].correct is None
    assert "longer than 1 s" in grades["hangs"].reason
    assert [grades[i].correct for i in range(3)] == [True] * 3


async def test_a_grader_that_does_not_exist_or_fails_is_a_reason_and_not_a_grade() -> None:
    missing = Question("?", answer="B", grader="no-such-grader")
    grades = await graded([ToGrade(0, "B", missing), ToGrade(1, "B", CHOICE)])
    assert grades[0].correct is None
    assert "unknown grader 'no-such-grader'" in grades[0].reason
    assert grades[1].correct is True


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Question:
    """A question whose grader is an installed package's, and ends its process on some responses."""
    info = tmp_path / "deadly-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[smcs.graders]\ndeadly = deadly_grader\n")
    (tmp_path / "deadly_grader.py").write_text(
        f"""
import os, pathlib
from smcs.types import Grade
MARK = pathlib.Path({str(tmp_path / "mark")!r})

class Deadly:
    name, version = "deadly", "1"
    def grade(self, response, question):
        print("noise on standard output", flush=True)
        if response == "die" or (response == "die once" and not MARK.exists()):
            MARK.touch()
            os._exit(1)
        if response == "raise":
            raise ValueError("no good")
        return Grade(True, response)

create = Deadly
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return Question("?", answer="x", grader="deadly")


async def test_a_process_that_dies_costs_no_other_grade(deadly: Question) -> None:
    texts = ["one", "die", "two", "raise", "die once", "three"]
    grades = await graded([ToGrade(text, text, deadly) for text in texts], workers=1)
    assert {text for text in texts if grades[text].correct} == {"one", "two", "die once", "three"}
    assert "crashed" in grades["die"].reason
    assert grades["raise"].reason == "the grader 'deadly' failed: ValueError: no good"


async def test_leaving_early_ends_the_processes() -> None:
    pool = GradingPool(lambda *_: None, workers=1)
    async with pool:
        pool.put(ToGrade(0, "a" * 60, RUNAWAY))
        await asyncio.sleep(0.3)


PROGRAM = "```python\ndef double(x):\n    return 2 * x\n```"
CODE = Question("?", grader="code", meta={"tests": ["assert double(2) == 4"]})


async def test_without_a_sandbox_code_is_graded_later_and_the_rest_now(monkeypatch: pytest.MonkeyPatch) -> None:
    later: dict[Any, str] = {}
    items = [ToGrade("code", PROGRAM, CODE), ToGrade("choice", "B", CHOICE)]
    grades = await graded(
        items, postponed=lambda item, reason: later.__setitem__(item.tag, reason), sandbox="no-such-sandbox"
    )
    assert list(grades) == ["choice"]
    assert "unknown sandbox 'no-such-sandbox'" in later["code"]
    grades = await graded(items, sandbox="no-such-sandbox")  # nobody who would do it later
    assert grades["code"].correct is None


async def test_code_is_graded_in_a_sandbox() -> None:
    wrong = PROGRAM.replace("2 * x", "3 * x")
    grades = await graded([ToGrade(0, PROGRAM, CODE), ToGrade(1, wrong, CODE)], sandbox="rlimits")
    assert [grades[i].correct for i in range(2)] == [True, False]
