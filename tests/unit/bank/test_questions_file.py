from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from smcs.bank.questions_file import read_questions
from smcs.bank.sources import gather
from smcs.errors import QuestionError, UnknownNameError

WriteLines = Callable[..., Path]
GOOD = {"id": "a", "question": "1 + 1?", "answer": "2", "grader": "numeric"}


def test_a_line_with_everything(write_lines: WriteLines) -> None:
    line = {
        **GOOD,
        "grader": "choice",
        "answer": "A",
        "benchmark": "sums",
        "system": "Be brief.",
        "options": ["2", "3"],
        "meta": {"level": 1},
        "split": "test",
    }
    ((source,), problems) = read_questions(write_lines(line))
    question = source.question
    assert problems == []
    assert (question.id, question.text, question.answer, question.grader) == ("a", "1 + 1?", "A", "choice")
    assert (question.benchmark, question.system, question.options) == ("sums", "Be brief.", ("2", "3"))
    assert question.meta == {"level": 1}
    assert source.split == "test"
    assert source.where.endswith("questions.jsonl:1")


def test_the_benchmark_is_the_name_of_the_file_by_default(write_lines: WriteLines) -> None:
    ((source,), _) = read_questions(write_lines(GOOD, name="my-own.jsonl"))
    assert source.question.benchmark == "my-own"
    assert source.split == "validation"


def test_numbers_are_read_as_they_are_written(write_lines: WriteLines) -> None:
    ((one, two), _) = read_questions(write_lines({**GOOD, "id": 7, "answer": 0.5}, {**GOOD, "id": 8, "answer": -3}))
    assert (one.question.id, one.question.answer) == ("7", "0.5")
    assert two.question.answer == "-3"


def test_blank_lines_byte_order_marks_and_carriage_returns_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    line = json.dumps(GOOD).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line.replace(b'"a"', b'"b"'))
    questions, problems = read_questions(path)
    assert [q.question.id for q in questions] == ["a", "b"]
    assert [q.where.rpartition(":")[2] for q in questions] == ["1", "4"]
    assert problems == []


def test_only_line_feeds_end_lines(write_lines: WriteLines) -> None:
    text = "a\u2028b\u0085c\x0bd"
    path = write_lines(json.dumps({**GOOD, "question": text}, ensure_ascii=False).replace("\\u000b", "\x0b").encode())
    questions, problems = read_questions(path)
    assert [q.question.text for q in questions] == [text] or "control character" in problems[0].message


def test_compressed_files_are_read_frame_by_frame(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.zst"
    frames = [zstandard.compress(json.dumps({**GOOD, "id": str(i)}).encode() + b"\n") for i in range(3)]
    path.write_bytes(b"".join(frames))
    questions, _ = read_questions(path)
    assert [q.question.id for q in questions] == ["0", "1", "2"]
    assert questions[0].question.benchmark == "q"


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.zst"
    path.write_bytes(b"no zstd at all")
    with pytest.raises(QuestionError, match="damaged"):
        read_questions(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff{}", "not UTF-8 at byte 1"),
        (b"[1]", "a JSON list, not an object"),
        (b"null", "a JSON null"),
        (b"[" * 100_000, "nested too deeply"),
        ({**GOOD, "qestion": "x"}, "unknown key 'qestion'; did you mean 'question'"),
        ({k: v for k, v in GOOD.items() if k != "id"}, "'id' is missing"),
        ({**GOOD, "grader": None}, "'grader' is missing"),
        ({**GOOD, "question": "  "}, "'question' is empty"),
        ({**GOOD, "id": ""}, "'id' is empty"),
        ({**GOOD, "question": ["x"]}, "'question' is a list, not a text"),
        ({**GOOD, "answer": True}, "'answer' is a true or false"),
        ({**GOOD, "options": []}, "'options' must be a list of texts"),
        ({**GOOD, "options": ["a", 1]}, "'options' must be a list of texts"),
        ({**GOOD, "meta": "x"}, "'meta' is a text, not an object"),
        (b'{"id": "a", "id": "b"}', "the key 'id' occurs twice"),
        (b'{"id": "a", "question": "\\ud83d", "answer": "2", "grader": "numeric"}', "surrogate"),
        (b'{"id": "a", "question": "x", "answer": "2", "grader": "numeric", "meta": {"a": "\\ud83d"}}', "surrogate"),
        (b'{"id": "a", "question": "a\\u0000", "answer": "2", "grader": "numeric"}', "NUL"),
    ],
)
def test_a_malformed_line_is_named_with_what_is_wrong(write_lines: WriteLines, line: Any, message: str) -> None:
    path = write_lines(GOOD, line, {**GOOD, "id": "z"})
    questions, problems = read_questions(path)
    assert [q.question.id for q in questions] == ["a", "z"]
    (problem,) = problems
    assert problem.where == f"{path}:2"
    assert message in problem.message
    with pytest.raises(QuestionError, match="1 line cannot be used"):
        gather([str(path)])
    assert [q.id for q, _ in gather([str(path)], on_error="skip").items] == ["a", "z"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="there is no questions file"):
        gather([str(tmp_path / "none.jsonl")])
    with pytest.raises(QuestionError, match="is a folder"):
        gather([str(tmp_path)])


def test_an_unknown_benchmark_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown benchmark 'no-such'"):
        gather(["no-such"])


def test_duplicate_ids_are_refused_naming_both_lines(write_lines: WriteLines) -> None:
    one, two = write_lines(GOOD, name="one.jsonl"), write_lines(GOOD, name="two.jsonl")
    with pytest.raises(QuestionError) as error:
        gather([str(one), str(two)])
    assert f"{two}:1: the id 'a' is taken already ({one}:1)" in str(error.value)


def test_unknown_graders_and_unreadable_labels_are_refused(write_lines: WriteLines) -> None:
    path = write_lines(
        {**GOOD, "grader": "numerc"}, {**GOOD, "id": "b", "answer": "2 or 3"}, {**GOOD, "id": "c", "answer": None}
    )
    with pytest.raises(QuestionError) as error:
        gather([str(path)])
    text = str(error.value)
    assert "questions.jsonl:1: unknown grader 'numerc'; did you mean 'numeric'?" in text
    assert "questions.jsonl:2: the answer of a numeric question is one number, not '2 or 3'" in text
    assert "questions.jsonl:3: " in text


def test_many_problems_are_counted(write_lines: WriteLines) -> None:
    with pytest.raises(QuestionError, match=r"15 lines cannot be used(.|\n)*and 5 more"):
        gather([str(write_lines(*["{"] * 15))])


def test_nothing_left_is_an_error(write_lines: WriteLines) -> None:
    with pytest.raises(QuestionError, match="holds no questions"):
        gather([str(write_lines(b""))])
    with pytest.raises(QuestionError, match=r"no line of .* can be used"):
        gather([str(write_lines(b"{"))], on_error="skip")
    with pytest.raises(QuestionError, match=r"none of split 'validation'.*--split all"):
        gather([str(write_lines({**GOOD, "split": "test"}))])


def test_split_and_limit_choose_by_source(write_lines: WriteLines) -> None:
    lines = [{**GOOD, "id": str(i), "split": "test" if i == 1 else "validation"} for i in range(5)]
    one = write_lines(*lines, name="one.jsonl")
    two = write_lines(*[{**x, "id": "x" + x["id"]} for x in lines], name="two.jsonl")
    found = gather([str(one), str(two)], limit=2)
    assert [q.id for q, _ in found.items] == ["0", "2", "x0", "x2"]
    assert found.other_splits == 2
    everything = gather([str(one)], split=None)
    assert [split for _, split in everything.items] == ["validation", "test", *["validation"] * 3]


def test_questions_that_are_there_already_are_passed_over(write_lines: WriteLines) -> None:
    path = write_lines(GOOD, {**GOOD, "id": "b"})
    first = gather([str(path)], limit=1)
    again = gather([str(path)], present=[q for q, _ in first.items])
    assert [q.id for q, _ in again.items] == ["b"]
    assert again.present == 1
    everything = gather([str(path)], present=[q for q, _ in gather([str(path)]).items])
    assert everything.items == ()
    changed = write_lines({**GOOD, "answer": "3"}, name="changed.jsonl")
    with pytest.raises(QuestionError, match="taken already"):
        gather([str(changed)], present=[q for q, _ in first.items])
