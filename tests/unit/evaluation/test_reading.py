"""Reports from a results file alone: what was stored is what is reported, and runs are told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smcs.evaluation.reading import stored_report, stored_runs
from smcs.evaluation.store import AnswerKey, ResultsError, ResultsStore, StoredAnswer, open_results
from smcs.types import Completion, Grade

SHARED: dict[str, Any] = {"version": "1", "pool": [{"identity": "x"}], "bank": "b", "embedder": {"name": "e"}}


async def stored(path: Path, *setups: tuple[str, str, dict[str, Any]], right: dict[str, list[int]]) -> None:
    """A results file: setups, and for each the grades of its answers to q0, q1, ..."""
    async with open_results(path) as store:
        await store.put_setups([(digest, label, json.dumps(what)) for digest, label, what in setups])
        await store.put_completions([(b"k" * 32, 0, Completion("ada", "text"))])
        await _put_answers(store, right)


async def _put_answers(store: ResultsStore, right: dict[str, list[int]]) -> None:
    for digest, grades in right.items():
        for i, correct in enumerate(grades):
            content = json.dumps({"id": f"q{i}", "question": f"Q{i}?"})
            await store.put_questions([(f"d{i}", f"q{i}", "sums", "exact", content)])
            key = AnswerKey(digest, f"d{i}", 0)
            await store.put_answer(StoredAnswer(key, "text", None, 2, 0, False, 10, 5, 0.5, 1.0))
            await store.put_grade(key, "exact", "1", Grade(bool(correct)))


def setup(digest: str, label: str, shared: dict[str, Any] = SHARED, **method: Any) -> tuple[str, str, dict[str, Any]]:
    return digest, label, {"strategy": label, "settings": {}, "method": method, **shared}


async def test_the_report_holds_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    await stored(path, setup("s1", "smcs"), setup("s2", "moa"), right={"s1": [1, 1, 1, 0], "s2": [1, 0, 0, 0]})
    (run,) = stored_runs(path)
    assert run.pool == ("ada",)
    report = await stored_report(path, run)
    assert {row.label: row.average.mean for row in report.rows} == {"smcs": 0.75, "moa": 0.25}
    assert report.benchmarks == {"sums": 4}
    assert (report.pairs[0].one, report.pairs[0].difference.mean) == ("smcs", 0.5)
    assert report.rows[0].cost_usd == 0.5


async def test_what_shares_a_label_is_told_apart_by_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    await stored(path, setup("s1", "smcs", k=3, n=8), setup("s2", "smcs", k=5, n=8), right={"s1": [1], "s2": [0]})
    (run,) = stored_runs(path)
    assert [one.label for one in run.setups] == ["smcs (k=3)", "smcs (k=5)"]
    assert len((await stored_report(path, run)).rows) == 2


async def test_another_bank_is_another_run(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    other = setup("s2", "smcs", {**SHARED, "bank": "c"})
    await stored(path, setup("s1", "smcs"), other, right={"s1": [1], "s2": [0]})
    assert [[one.label for one in run.setups] for run in stored_runs(path)] == [["smcs"], ["smcs"]]


async def test_a_run_without_answers_has_an_empty_report(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    await stored(path, setup("s1", "smcs"), right={})
    (run,) = stored_runs(path)
    report = await stored_report(path, run)
    assert (report.benchmarks, report.rows[0].answers) == ({}, 0)


def test_what_is_no_results_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text(
        "not a database at all, only a text that is long enough to be taken for one\n" * 9
    )
    for name in ("none.db", "text.db"):
        with pytest.raises(ResultsError, match=name):
            stored_runs(tmp_path / name)
