"""Questions of benchmarks on their way into a bank: from a local folder, sampled, checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smcs import cli
from smcs.bank.sources import gather
from smcs.errors import QuestionError, UnknownNameError

LETTERS = "ABC"


def row(number: int, split: str = "validation", **fields: Any) -> dict[str, Any]:
    options = [f"{letter.lower()}{number}" for letter in LETTERS]
    return {
        "id": f"medmcqa/{number}",
        "benchmark": "medmcqa",
        "split": split,
        "question": f"Question {number}?\n\n" + "\n".join(f"{x}. {o}" for x, o in zip(LETTERS, options, strict=True)),
        "options": options,
        "answer": LETTERS[number % 3],
        "meta": {"stem": f"Question {number}?"},
    } | fields


@pytest.fixture
def folder(write_lines: Callable[..., Path]) -> Path:
    return write_lines(
        *(row(i, "test" if i % 4 == 0 else "validation") for i in range(40)), name="medmcqa.jsonl"
    ).parent


def test_a_benchmark_from_a_folder(folder: Path) -> None:
    found = gather(["medmcqa"], data=folder)
    assert len(found.items) == 30
    assert {split for _, split in found.items} == {"validation"}
    question = found.items[0][0]
    assert (question.id, question.benchmark, question.grader, question.answer) == (
        "medmcqa/1",
        "medmcqa",
        "choice",
        "B",
    )
    assert question.system


def test_every_split_of_a_benchmark(folder: Path) -> None:
    splits = [split for _, split in gather(["medmcqa"], data=folder, split=None).items]
    assert (splits.count("validation"), splits.count("test")) == (30, 10)


def test_a_limit_takes_a_random_sample_that_is_always_the_same_and_grows(folder: Path) -> None:
    ids = {n: [q.id for q, _ in gather(["medmcqa"], data=folder, limit=n).items] for n in (5, 10, 30)}
    assert [len(found) for found in ids.values()] == [5, 10, 30]
    assert ids[5] == [q.id for q, _ in gather(["medmcqa"], data=folder, limit=5).items]
    assert set(ids[5]) < set(ids[10])
    assert ids[5] != ids[30][:5]  # not the first ones, which may be of one subject
    assert ids[10] == [name for name in ids[30] if name in ids[10]]  # in the benchmark's order


def test_files_and_benchmarks_together(folder: Path, write_lines: Callable[..., Path]) -> None:
    mine = write_lines({"id": "m1", "question": "1 + 1?", "answer": "2", "grader": "numeric"}, name="mine.jsonl")
    found = gather([str(mine), "medmcqa"], data=folder, limit=3)
    assert [q.benchmark for q, _ in found.items] == ["mine", "medmcqa", "medmcqa", "medmcqa"]


@pytest.mark.parametrize(
    ("source", "split", "message"),
    [
        ("medmcqqa", "validation", "unknown benchmark 'medmcqqa'; did you mean 'medmcqa'"),
        ("medmcqa", "valdation", "has no split 'valdation'; did you mean 'validation'"),
        ("aime", "validation", "has no file of benchmark 'aime'"),
    ],
)
def test_wrong_names(folder: Path, source: str, split: str, message: str) -> None:
    with pytest.raises((QuestionError, UnknownNameError), match=message):
        gather([source], data=folder, split=split)


def test_a_file_of_an_older_format_is_named_with_its_line_and_what_is_missing(write_lines: Callable[..., Path]) -> None:
    old = {key: value for key, value in row(1).items() if key not in {"split", "meta"}}
    path = write_lines(row(0), old, name="medmcqa.jsonl")
    with pytest.raises(QuestionError, match=r"medmcqa.jsonl:2: not the local benchmark format: 'split' is missing"):
        gather(["medmcqa"], data=path.parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "."], "has no file of benchmark 'medmcqa'"),
    ],
)
def test_the_command_line_says_it_in_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["bank", "create", "my.bank", "--from", "medmcqa", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "my.bank").exists()


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unreachable(*_: object, **__: object) -> list[Any]:
        raise QuestionError("the hub cannot be reached; name a local folder instead")

    monkeypatch.setattr("smcs.benchmarks._base.hub_rows", unreachable)
    assert cli.run(["bank", "create", "my.bank", "--from", "medmcqa"]) == 2
    assert capsys.readouterr().err == "smcs: error: the hub cannot be reached; name a local folder instead\n"


@pytest.mark.shared
def test_every_benchmark_of_the_folder_is_fit_for_a_bank(shared_dir: Path) -> None:
    names = sorted(p.name.removesuffix(".jsonl.zst") for p in (shared_dir / "data" / "benchmarks").glob("*.jsonl.zst"))
    assert len(names) == 8
    found = gather(names, data=shared_dir / "data", limit=20)
    assert not found.skipped
    assert len(found.items) == 160
    assert len({q.id for q, _ in found.items}) == 160
