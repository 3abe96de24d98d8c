"""The local format of benchmarks, and what is said of files that are not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from smcs.benchmarks import gsm8k, mmlu_pro
from smcs.benchmarks._base import LocalFolder
from smcs.errors import QuestionError


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "mmlu_pro/1",
        "benchmark": "mmlu_pro",
        "split": "test",
        "question": "Which?\u2028It is one.\n\nA. this\nB. that",
        "options": ["this", "that"],
        "answer": "B",
        "meta": {"subject": "biology"},
    } | changes


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()
    path.write_bytes(zstandard.ZstdCompressor().compress(content) if path.suffix == ".zst" else content)


@pytest.mark.parametrize(
    "file",
    ["mmlu_pro.jsonl.zst", "mmlu_pro.jsonl", "benchmarks/mmlu_pro.jsonl.zst", "recorded/mmlu_pro_questions.jsonl"],
)
def test_reads_it_wherever_it_may_stand(tmp_path: Path, file: str) -> None:
    write(tmp_path / file, row(), row(id="mmlu_pro/2", split="validation"))
    (question,) = mmlu_pro.create().load("test", LocalFolder(tmp_path))
    assert (question.id, question.answer, question.options) == ("mmlu_pro/1", "B", ("this", "that"))
    assert question.text == row()["question"]
    assert question.meta == {"subject": "biology", "split": "test"}
    assert (question.grader, question.benchmark) == ("choice", "mmlu_pro")
    assert question.system == mmlu_pro.create().prompt


def test_other_names_of_a_benchmark(tmp_path: Path) -> None:
    write(tmp_path / "gsm_questions.jsonl.zst", row(id="gsm/1", benchmark="gsm", options=None, answer="3", meta={}))
    (question,) = gsm8k.create().load("test", LocalFolder(tmp_path))
    assert (question.id, question.benchmark) == ("gsm/1", "gsm8k")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": None}, "'split' is a NoneType"),
        ({"options": "this"}, "'options' is a str"),
        ({"answer": 2}, "'answer' is a int"),
        ({"benchmark": "medmcqa"}, "of benchmark 'medmcqa' instead of 'mmlu_pro'"),
    ],
)
def test_wrong_fields(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path / "mmlu_pro.jsonl", row(), row(id="mmlu_pro/2", **changes))
    with pytest.raises(QuestionError, match=rf"mmlu_pro\.jsonl:2: .*{message}"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))


def test_an_older_format_is_named_by_what_it_lacks(tmp_path: Path) -> None:
    old = {"id": 1, "question": "Which?", "answer": "B"}
    write(tmp_path / "mmlu_pro.jsonl", old)
    with pytest.raises(QuestionError, match=r"mmlu_pro\.jsonl:1: not the local benchmark format: 'id' is a int"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))
    write(tmp_path / "mmlu_pro.jsonl", old | {"id": "1"})
    with pytest.raises(QuestionError, match=r"'benchmark' is missing \(needs id, benchmark, split, question"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{\n", "not a line of JSON"), (b"[1]\n", "list instead of an object"), (b"\xff\xfe\n", "not a line of JSON")],
)
def test_lines_that_are_no_objects(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "mmlu_pro.jsonl").write_bytes(content)
    with pytest.raises(QuestionError, match=message):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))


def test_duplicate_id(tmp_path: Path) -> None:
    write(tmp_path / "mmlu_pro.jsonl", row(), row())
    with pytest.raises(QuestionError, match=r":2: the id 'mmlu_pro/1' stands on an earlier line too"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))


def test_damaged_file(tmp_path: Path) -> None:
    write(tmp_path / "mmlu_pro.jsonl.zst", row())
    path = tmp_path / "mmlu_pro.jsonl.zst"
    path.write_bytes(path.read_bytes()[:-20] + b"\x00" * 20)
    with pytest.raises(QuestionError, match="damaged"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))
    path.write_bytes(b"plain text")
    with pytest.raises(QuestionError, match="no zstd file"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))


def test_no_question_of_the_split(tmp_path: Path) -> None:
    write(tmp_path / "mmlu_pro.jsonl", row(split="validation"))
    with pytest.raises(QuestionError, match="no question of split 'test'"):
        mmlu_pro.create().load("test", LocalFolder(tmp_path))
