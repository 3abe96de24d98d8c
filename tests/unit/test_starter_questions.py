"""The questions of the starter bank: labels that are right, in a file that anyone can make again."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from smcs import registry
from smcs.bank.questions_file import parse_line
from smcs.types import Question

Row: TypeAlias = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "src" / "smcs" / "data" / "starter" / "questions.jsonl"
BENCHMARKS = {"mathematics", "code", "logic", "knowledge", "instructions", "reading", "language"}
MADE_WITH = "0.1.25"  # reasoning-gym; another version may word or draw its questions otherwise
LETTERS = "ABCD"

LINES = FILE.read_bytes().splitlines()
ROWS: list[Row] = [json.loads(line) for line in LINES]


def rows(**wanted: str) -> list[Any]:
    """The questions with these fields, as parameters of a test."""
    found = [row for row in ROWS if all(row[key] == value for key, value in wanted.items())]
    assert found
    return [pytest.param(row, id=row["id"]) for row in found]


def rows_with(key: str) -> list[Any]:
    found = [row for row in ROWS if key in row["meta"]]
    assert found
    return [pytest.param(row, id=row["id"]) for row in found]


def question_of(row: Row) -> Question:
    return parse_line(json.dumps(row).encode())[0]


def label(row: Row) -> str:
    """The right answer's text: of a choice, the option."""
    return str(row["options"][LETTERS.index(row["answer"])] if row["grader"] == "choice" else row["answer"])


def shingles(text: str) -> set[tuple[str, ...]]:
    """All runs of three words or signs."""
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


# The file as a whole


def test_size() -> None:
    assert 300 <= len(ROWS) <= 380
    assert FILE.stat().st_size <= 500_000


def test_ids_are_unique_and_name_their_benchmark() -> None:
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert re.fullmatch(rf"{row['benchmark']}-[a-z0-9-]*\d+", row["id"])


def test_benchmarks_are_balanced() -> None:
    counts = Counter(row["benchmark"] for row in ROWS)
    assert set(counts) == BENCHMARKS
    assert min(counts.values()) >= 40
    assert max(counts.values()) <= 1.5 * min(counts.values())


@pytest.mark.parametrize("benchmark", sorted(BENCHMARKS))
def test_each_benchmark_has_easy_middle_and_hard_questions(benchmark: str) -> None:
    levels = Counter(row["meta"]["level"] for row in ROWS if row["benchmark"] == benchmark)
    assert set(levels) == {"easy", "middle", "hard"}
    assert min(levels.values()) >= 5


def test_always_answering_one_letter_gains_nothing() -> None:
    letters = Counter(row["answer"] for row in ROWS if row["grader"] == "choice")
    assert max(letters.values()) <= 0.3 * letters.total()


def test_no_two_questions_are_nearly_the_same() -> None:
    sets = [(row["id"], shingles(row["question"])) for row in ROWS]
    pairs = ((len(a & b) / len(a | b), i, j) for (i, a), (j, b) in itertools.combinations(sets, 2))
    assert max(pairs)[0] < 0.7
    assert len({" ".join(re.findall(r"\w+|[^\w\s]", row["question"].lower())) for row in ROWS}) == len(ROWS)


def test_prompts_are_short() -> None:
    assert max(len(row["question"]) for row in ROWS) <= 900
    assert sum(len(row["question"]) for row in ROWS) / len(ROWS) <= 250


def test_same_file_again() -> None:
    if (installed := importlib.metadata.version("reasoning-gym")) != MADE_WITH:
        pytest.skip(f"made with reasoning-gym {MADE_WITH}, installed is {installed}")
    command = [sys.executable, "-W", "ignore", "-m", "scripts.starter_questions", "--check"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "11"}
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.shared
def test_nothing_is_taken_from_the_benchmarks(request: pytest.FixtureRequest) -> None:
    zstandard = pytest.importorskip("zstandard")
    shared = request.config.getoption("--shared", default=None)
    if shared is None:
        pytest.skip("needs --shared DIR")
    folder = Path(shared) / "data"
    ours = [(row["id"], shingles(row["question"])) for row in ROWS]
    files = sorted(folder.glob("benchmarks/*.jsonl.zst")) + sorted(folder.glob("recorded/*.jsonl.zst"))
    assert files
    for file in files:
        text = zstandard.ZstdDecompressor().decompress(file.read_bytes(), max_output_size=1 << 31).decode()
        for line in filter(None, text.split("\n")):
            theirs = shingles(json.loads(line)["question"])
            for name, mine in ours:
                assert len(mine & theirs) < 0.4 * len(mine), f"{name}: {line[:200]}"


# Each question


@pytest.mark.parametrize("row", rows())
def test_own_grader_takes_the_label(row: Row) -> None:
    question = question_of(row)
    grader = registry.find("graders", row["grader"]).create()
    assert grader.check(question) is None
    right = row["meta"]["example"] if row["grader"] == "regex" else row["answer"]
    assert grader.grade(right, question).correct
    if row["grader"] != "regex":
        assert grader.grade(f"Let me think about it.\n\nThe answer is {row['answer']}.", question).correct


@pytest.mark.parametrize("row", rows_with("aliases"))
def test_other_right_answers_are_taken(row: Row) -> None:
    grader = registry.find("graders", "exact").create()
    for alias in row["meta"]["aliases"]:
        assert grader.grade(alias, question_of(row)).correct
        assert row["answer"].lower() in alias.lower()


@pytest.mark.parametrize("row", rows_with("case_sensitive"))
def test_output_of_a_program_keeps_its_case(row: Row) -> None:
    grader = registry.find("graders", "exact").create()
    assert not grader.grade(row["answer"].swapcase(), question_of(row)).correct


@pytest.mark.parametrize("row", rows(grader="regex"))
def test_pattern_tells_right_from_wrong(row: Row) -> None:
    question = question_of(row)
    grader = registry.find("graders", "regex").create()
    assert grader.grade(f"\n{row['meta']['example']}  \n", question).correct
    assert not grader.grade(row["meta"]["counterexample"], question).correct
    assert not grader.grade(
        "I am sorry, I do not understand what you mean by that.\n\nPlease ask again!", question
    ).correct


@pytest.mark.parametrize("row", rows(grader="choice"))
def test_options_stand_in_the_text(row: Row) -> None:
    lines = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, row["options"], strict=False))
    assert f"\n\n{lines}\n\n" in row["question"]
    assert len(set(row["options"])) == len(row["options"]) >= 2
    assert row["answer"] in LETTERS[: len(row["options"])]


@pytest.mark.parametrize("row", rows_with("program"))
def test_label_is_what_the_program_prints(row: Row) -> None:
    program = row["meta"]["program"]
    assert program in row["question"]
    assert run(program).strip() == label(row)


@pytest.mark.parametrize("row", rows_with("check_program"))
def test_program_misbehaves_as_the_question_says(row: Row) -> None:
    run(row["meta"]["check_program"])


@pytest.mark.parametrize("row", rows_with("check"))
def test_label_is_what_the_calculation_gives(row: Row) -> None:
    number = re.match(r"-?[\d.]+", label(row).replace(",", ""))
    assert number is not None
    assert float(number[0]) == pytest.approx(eval(row["meta"]["check"], {"__builtins__": {}}))


@pytest.mark.parametrize("row", rows_with("expected"))
def test_only_the_right_option_gives_what_is_expected(row: Row) -> None:
    code = (
        f"options, setup = {row['options']!r}, {row['meta'].get('setup', '')!r}\n"
        f"expected = {row['meta']['expected']!r}\n"
        "def value(text):\n"
        "    names = {}\n"
        "    exec(setup, names)\n"
        "    try:\n"
        "        return eval(text, names)\n"
        "    except Exception as error:\n"
        "        return error\n"
        "print([value(o) == value(expected) for o in options])\n"
    )
    assert eval(run(code)) == [letter == row["answer"] for letter in LETTERS[: len(row["options"])]]


@pytest.mark.parametrize("row", rows(benchmark="mathematics"))
def test_arithmetic_again(row: Row) -> None:
    """What can be read off the text is calculated once more, apart from generator and author."""
    text = row["question"]
    if match := re.match(r"What is ([-+*/().\d ]+)\?", text):
        assert float(row["answer"]) == pytest.approx(eval(match[1]))
    elif match := re.match(r"Solve (.+) = (.+) for (\w)\.", text):
        assert eval(match[1], {match[3]: float(row["answer"])}) == float(match[2])
    elif match := re.match(r"Reduce the fraction (\d+)/(\d+) ", text):
        top, bottom = map(int, row["answer"].split("/"))
        assert top * int(match[2]) == bottom * int(match[1])
        assert not any(top % n == bottom % n == 0 for n in range(2, top + 1))
