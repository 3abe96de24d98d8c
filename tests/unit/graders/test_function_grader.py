"""Graders that are functions of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smcs import cli
from smcs.bank.grading import GradingPool, ToGrade, find_grader
from smcs.errors import UnknownNameError
from smcs.types import Grade, Question

MODULE = """
from smcs.graders import grader
from smcs.types import Grade

@grader
def polite(response, question):
    if response == "?":
        return None
    if response == "raise":
        raise ValueError("no good")
    if response == "!":
        return "yes"
    return question.meta["word"] in response

@grader
def exactly(response, question):
    return Grade(response == question.answer, response)

def unmarked(response, question):
    return True
"""
POLITE = Question("Ask.", "q", grader="my_graders:polite", meta={"word": "please"})


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "my_graders.py"
    file.write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "my_graders", raising=False)
    return file


def test_what_a_function_may_return() -> None:
    polite = find_grader("my_graders:polite")
    assert polite.grade("please do", POLITE) == Grade(True)
    assert polite.grade("do", POLITE) == Grade(False)
    assert polite.grade("?", POLITE).correct is None
    with pytest.raises(TypeError, match="not 'yes'"):
        polite.grade("!", POLITE)
    exactly = find_grader("my_graders:exactly")
    assert exactly.grade("a", Question("?", answer="a")) == Grade(True, "a")


def test_its_version_changes_with_its_file(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_grader("my_graders:polite").version
    assert find_grader("my_graders:polite").version == before
    module.write_text(MODULE + "\n# mended\n")
    assert find_grader("my_graders:polite").version != before


async def test_it_grades_in_the_process_for_that_and_its_errors_are_reasons() -> None:
    grades: dict[str, Grade] = {}
    async with GradingPool(lambda item, grade: grades.__setitem__(item.tag, grade)) as pool:
        for text in ("please", "no", "raise", "!"):
            pool.put(ToGrade(text, text, POLITE))
        await pool.join()
    assert [grades[text].correct for text in ("please", "no", "raise", "!")] == [True, False, None, None]
    assert grades["raise"].reason == "the grader 'my_graders:polite' failed: ValueError: no good"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("os:system", "the function 'system' of os is not marked as a grader"),
        ("my_graders:unmarked", "is not marked as a grader"),
        ("my_graders:polit", "the function 'polit' of my_graders is not there"),
        ("no_such_module:f", "cannot be imported"),
        ("a b:c", "is named module:function"),
    ],
)
def test_what_cannot_be_used(name: str, problem: str) -> None:
    with pytest.raises(UnknownNameError, match=problem):
        find_grader(name)


def test_a_questions_file_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pool.toml").write_text('[[llm]]\nname = "a"\nbackend = "simulated"\n[embedder]\nbackend = "tfidf"\n')
    lines = [
        {"id": str(i), "question": "Ask.", "grader": name} for i, name in enumerate(("my_graders:polite", "os:system"))
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ["bank", "create", str(tmp_path / "b.bank"), "--from", str(tmp_path / "q.jsonl")]
    arguments += ["--pool", str(tmp_path / "pool.toml"), "-q"]
    assert cli.run(arguments) == 2
    assert "q.jsonl:2: the grader 'os:system' cannot be used" in capsys.readouterr().err
    assert cli.run([*arguments, "--on-error", "skip"]) == 0
