"""What holds for every benchmark, from a local folder and from a hub that is made of the same questions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smcs import registry
from smcs.benchmarks import _hub
from smcs.benchmarks._base import Hub, LocalFolder, TableBenchmark
from smcs.benchmarks._hub import HubTable, Row, entries
from smcs.errors import QuestionError, UnknownNameError
from smcs.protocols import Grader
from smcs.types import Question

NAMES = registry.names("benchmarks")
SPLITS = ("validation", "test")
GOLD: dict[str, Callable[[str], str]] = {
    "aime": lambda answer: rf"Thus the value is $\boxed{{{answer}}}$.",
    "math": lambda answer: rf"So we get $x$. The answer is $\boxed{{{answer}}}$.",
    "choice": lambda answer: f"Because of this, the answer is ({answer}).",
    "gsm8k": lambda answer: f"That makes 3 + 4 in all. The answer is {answer}",
    "cruxeval": lambda answer: f"The loop ends at once. The answer is {answer}",
}


def build(name: str) -> TableBenchmark:
    benchmark: TableBenchmark = registry.find("benchmarks", name).create()
    return benchmark


def grader_of(name: str) -> Grader:
    grader: Grader = registry.find("graders", name).create()
    return grader


@pytest.fixture(scope="module")
def data(shared_dir: Path) -> Path:
    """The folder above the benchmarks in the local format."""
    return shared_dir / "data"


@pytest.mark.parametrize("name", NAMES)
class TestWithoutData:
    def test_says_what_it_is(self, name: str) -> None:
        benchmark = build(name)
        assert benchmark.name == name.replace("-", "_")
        assert benchmark.splits == SPLITS
        assert benchmark.grader in registry.names("graders")
        assert set(benchmark.sizes) == set(SPLITS)

    def test_prompt_asks_for_what_the_grader_reads(self, name: str) -> None:
        prompt = build(name).prompt
        marks = {
            "aime": r"\boxed{}",
            "math500": "The answer is",
            "mbpp": "```python",
            "livecodebench": "```python",
            "gpqa_diamond": "The answer is (X)",
            "mmlu_pro": "The answer is (X)",
            "medmcqa": "The answer is (X)",
            "gsm8k": "The answer is N",
            "cruxeval": "The answer is V",
        }
        assert marks.get(build(name).name, "") in prompt
        assert (prompt == "") == (name == "ifeval")

    def test_splits_file_has_every_question_once(self, name: str) -> None:
        benchmark = build(name)
        lines = entries(benchmark.name)
        assert len({e.id for e in lines}) == len(lines) == len({e.key for e in lines})
        assert {s: sum(e.split == s for e in lines) for s in SPLITS} == dict(benchmark.sizes)

    def test_hub_data_sets_are_pinned(self, name: str) -> None:
        for table in build(name).tables:
            assert len(table.revision) == 40
            assert set(table.revision) <= set("0123456789abcdef")
            assert set(table.splits) <= set(SPLITS)

    def test_unknown_split(self, name: str) -> None:
        with pytest.raises(UnknownNameError, match=r"no split 'dev'.*known: validation, test"):
            build(name).load("dev", Hub())

    def test_missing_folder(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match="no folder"):
            build(name).load("test", LocalFolder(tmp_path / "nowhere"))

    def test_missing_file(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match=f"no file of benchmark '{build(name).name}'"):
            build(name).load("test", LocalFolder(tmp_path))

    def test_hub_out_of_reach(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def offline(*_: object, **__: object) -> str:
            raise ConnectionError("no route")

        monkeypatch.setattr("requests.head", offline)
        with pytest.raises(QuestionError, match=r"cannot fetch .* from the hub .*local folder"):
            build(name).load("test", Hub(tmp_path))


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
class TestFromLocalFolder:
    def test_has_the_stated_questions(self, name: str, data: Path) -> None:
        benchmark = build(name)
        questions = [q for split in SPLITS for q in benchmark.load(split, LocalFolder(data))]
        assert len({q.id for q in questions}) == len(questions) == sum(benchmark.sizes.values())
        for split in SPLITS:
            loaded = benchmark.load(split, LocalFolder(data))
            assert len(loaded) == benchmark.sizes[split]
            assert {q.meta["split"] for q in loaded} == {split}
            assert [q.id for q in loaded] == [e.id for e in entries(benchmark.name) if e.split == split]

    def test_questions_are_complete(self, name: str, data: Path) -> None:
        benchmark = build(name)
        for question in (q for split in SPLITS for q in benchmark.load(split, LocalFolder(data))):
            assert question.text.strip()
            assert (question.benchmark, question.grader) == (benchmark.name, benchmark.grader)
            assert question.system == benchmark.prompt
            for letter, option in zip("ABCDEFGHIJ", question.options or (), strict=False):
                assert f"\n{letter}. {option.strip()}" in question.text

    def test_grader_can_read_every_label(self, name: str, data: Path) -> None:
        benchmark, grader = build(name), grader_of(build(name).grader)
        problems = {
            q.id: problem
            for split in SPLITS
            for q in benchmark.load(split, LocalFolder(data))
            if (problem := grader.check(q)) is not None
        }
        assert not problems

    def test_gold_answers_are_correct(self, name: str, data: Path) -> None:
        benchmark = build(name)
        if benchmark.grader not in GOLD:
            pytest.skip("has no gold text, or one that only the sandbox can judge")
        grader, response = grader_of(benchmark.grader), GOLD[benchmark.grader]
        wrong = [
            (q.id, q.answer)
            for split in SPLITS
            for q in benchmark.load(split, LocalFolder(data))
            if not grader.grade(response(str(q.answer)), q).correct
        ]
        assert wrong == []

    def test_hub_gives_the_same_questions(
        self, name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        benchmark = build(name)
        local = {split: benchmark.load(split, LocalFolder(data)) for split in SPLITS}
        monkeypatch.setattr(_hub, "fetch", FakeHub(tmp_path, benchmark, local).fetch)
        for split in SPLITS:
            for ours, theirs in zip(benchmark.load(split, Hub()), local[split], strict=True):
                assert (ours.id, ours.text, ours.system) == (theirs.id, theirs.text, theirs.system)
                assert (ours.answer or "").strip() == (theirs.answer or "").strip()
                assert [o.strip() for o in ours.options or ()] == [o.strip() for o in theirs.options or ()]
                if benchmark.grader in ("ifeval", "code"):  # what these graders read
                    for key in ("instruction_id_list", "kwargs", "tests", "test_setup_code", "func_name"):
                        assert ours.meta.get(key) == theirs.meta.get(key)


class FakeHub:
    """The official files, in their own schemas, made of the local questions."""

    def __init__(self, folder: Path, benchmark: TableBenchmark, questions: dict[str, list[Question]]) -> None:
        self._folder, self._benchmark, self._questions = folder, benchmark, questions

    def fetch(self, table: HubTable, _: Path | None) -> Path:
        rows = list(OFFICIAL[self._benchmark.name](table, self._of(table)))
        path = self._folder / table.path.replace("/", "_")
        write(path, rows)
        return path

    def _of(self, table: HubTable) -> list[Question]:
        order = sorted((q for s in table.splits for q in self._questions[s]), key=lambda q: q.id)
        if self._benchmark.name in ("gsm8k", "cruxeval"):  # known by their number in the file
            order.sort(key=lambda q: int(q.id.split("/")[1]))
        return order


def write(path: Path, rows: Sequence[Row]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _aime(table: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        meta = q.meta
        if table.splits == ("test",):
            name = f"{meta['year']}-{meta['contest']}-{meta['number']}"
            yield {"ID": name, "Problem": q.text, "Solution": "", "Answer": int(q.answer or 0)}
        else:
            part = meta["contest"]
            yield {
                "ID": f"{meta['year']}-{meta['number']}",
                "Year": meta["year"],
                "Problem Number": meta["number"],
                "Question": q.text,
                "Answer": q.answer,
                "Part": part or "",
            }


def _math(table: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        if table.splits == ("test",):
            row: Row = {"problem": q.text, "answer": q.answer, "unique_id": q.id.removeprefix("math500/") + ".json"}
            yield row | {"solution": q.meta["solution"], "subject": q.meta["subject"], "level": q.meta["level"]}
        else:
            level = f"Level {q.meta['level']}"
            yield {"problem": q.text, "level": level, "type": q.meta["subject"], "solution": q.meta["solution"]}


def _mbpp(table: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        if table.path == f"full/{q.meta['official_split']}-00000-of-00001.parquet":
            yield {
                "task_id": q.meta["task_id"],
                "text": q.meta["text"],
                "code": q.answer,
                "test_list": q.meta["tests"],
                "test_setup_code": q.meta["test_setup_code"],
                "challenge_test_list": q.meta["challenge_tests"],
            }


def _livecodebench(table: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for i, q in enumerate(questions):
        if table.splits == ("test",) and table.path != f"test{2 + i % 4}.jsonl":
            continue
        content = q.text.rpartition("\n\nWrite ")[0]
        yield {
            "question_title": q.meta.get("title", ""),
            "question_content": content,
            "platform": q.meta["platform"],
            "question_id": q.id.split("/")[1],
            "contest_id": q.meta["contest_id"],
            "contest_date": q.meta["contest_date"] + "T00:00:00",
            "starter_code": q.meta["starter_code"],
            "difficulty": q.meta["difficulty"] or "easy",
            "public_test_cases": json.dumps(q.meta["tests"]),
            "private_test_cases": "",
            "metadata": json.dumps({"func_name": q.meta["func_name"]} if q.meta["func_name"] else {}),
        }


def _gpqa(table: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        options = list(q.options or ())
        correct = options.pop("ABCD".index(q.answer or ""))
        if table.path == "gpqa_extended.csv" or table.path == f"gpqa_{q.meta['subset']}.csv":
            yield {
                "Record ID": q.id.split("/")[1],
                "Question": q.meta["stem"] + "\n",
                "Correct Answer": correct + "\n",
                **{f"Incorrect Answer {i + 1}": option for i, option in enumerate(sorted(options))},
                "High-level domain": q.meta["subject"],
                "Subdomain": q.meta["subdomain"],
                "Canary String": q.meta["canary"],
            }


def _mmlu_pro(_: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        options = list(q.options or ())
        yield {
            "question_id": q.meta["question_id"],
            "question": q.meta["stem"],
            "options": options + ["N/A"] * (10 - len(options)),
            "answer": q.answer,
            "answer_index": "ABCDEFGHIJ".index(q.answer or ""),
            "category": q.meta["subject"],
            "src": q.meta["src"],
        }


def _ifeval(_: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    every = {"num_words": None, "relation": None, "keywords": None}
    for q in questions:
        kwargs = [{**every, **given} for given in q.meta["kwargs"]]
        ids = q.meta["instruction_id_list"]
        yield {"key": q.meta["key"], "prompt": q.text, "instruction_id_list": ids, "kwargs": kwargs}


def _medmcqa(table: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    pool = "dev" if "validation" in table.path else "train"
    for q in questions:
        if q.meta["pool"] == pool:
            options = dict(zip(("opa", "opb", "opc", "opd"), q.options or (), strict=True))
            extra: dict[str, Any] = {"id": "x", "exp": None, "subject_name": "Anatomy"}
            yield {"question": q.meta["stem"], **options, "cop": "ABCD".index(q.answer or ""), **extra}


def _gsm8k(_: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        yield {"question": q.text, "answer": f"It is 4+4=<<4+4=8>>8.\n#### {q.answer}"}


def _cruxeval(_: HubTable, questions: Sequence[Question]) -> Iterator[Row]:
    for q in questions:
        code, _mark, call = q.text.partition("[PYTHON]\n")[2].rpartition("\nassert f(")
        given = call.removesuffix(") == ??\n[/PYTHON]")
        yield {"id": f"sample_{q.id.split('/')[1]}", "code": code, "input": given, "output": q.answer}


OFFICIAL: dict[str, Callable[[HubTable, Sequence[Question]], Iterator[Row]]] = {
    "aime": _aime,
    "math500": _math,
    "mbpp": _mbpp,
    "livecodebench": _livecodebench,
    "gpqa_diamond": _gpqa,
    "mmlu_pro": _mmlu_pro,
    "ifeval": _ifeval,
    "medmcqa": _medmcqa,
    "gsm8k": _gsm8k,
    "cruxeval": _cruxeval,
}


def test_unknown_benchmark() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown benchmark 'mmlu-por'.*did you mean 'mmlu-pro'"):
        registry.find("benchmarks", "mmlu-por")
