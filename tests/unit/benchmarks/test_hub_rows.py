"""Benchmarks from the hub: matching its rows to the splits, and its failures."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from smcs.benchmarks import _hub
from smcs.benchmarks._hub import Candidate, Entry, HubTable, Row, digest, fetch, hub_rows, order_of, to_row
from smcs.errors import QuestionError

ROWS: list[Row] = [{"n": i, "text": f"What is {i} + {i}?", "sum": str(2 * i)} for i in range(100)]


def convert(row: Row, _: int) -> Candidate:
    return Candidate(digest(row["text"]), row["text"], str(row["sum"]))


def table(path: str = "rows.jsonl", splits: tuple[str, ...] = ("test",)) -> HubTable:
    return HubTable(repo="org/sums", revision="0" * 40, path=path, convert=convert, splits=splits)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub whose data set is this folder, and a benchmark of its rows 1 to 99, backwards."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    monkeypatch.setattr(_hub, "fetch", lambda table, _: tmp_path / table.path)
    lines = [Entry("test", f"sums/{i}", digest(ROWS[i]["text"])) for i in range(99, 0, -1)]
    monkeypatch.setattr(_hub, "entries", lambda _: lines)
    return tmp_path


def test_gives_the_questions_of_the_split_in_its_order(hub: Path) -> None:
    rows = hub_rows("sums", [table()], "test", None)
    assert [r["id"] for r in rows] == [f"sums/{i}" for i in range(99, 0, -1)]
    assert rows[0] == {
        "id": "sums/99",
        "benchmark": "sums",
        "split": "test",
        "question": "What is 99 + 99?",
        "options": None,
        "answer": "198",
        "meta": {},
    }


def test_reads_parquet_and_csv_alike(hub: Path) -> None:
    expected = hub_rows("sums", [table()], "test", None)
    pq.write_table(pa.Table.from_pylist(ROWS), hub / "rows.parquet")
    with (hub / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["n", "text", "sum"])
        writer.writeheader()
        writer.writerows(ROWS)
    for path in ("rows.parquet", "rows.csv"):
        assert hub_rows("sums", [table(path)], "test", None) == expected


def test_fetches_no_more_files_than_it_needs(hub: Path) -> None:
    tables = [table(), table("not-there.jsonl"), table("nor-this.jsonl", splits=("validation",))]
    assert len(hub_rows("sums", tables, "test", None)) == 99


def test_a_few_missing_questions_are_told(hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    (hub / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS[2:]))
    with caplog.at_level(logging.WARNING):
        assert len(hub_rows("sums", [table()], "test", None)) == 98
    assert "1 of 99 questions are not on the hub" in caplog.text


def test_many_missing_questions_are_an_error(hub: Path) -> None:
    (hub / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS[:50]))
    with pytest.raises(QuestionError, match=r"50 of 99 questions of sums \(test\) are not in org/sums"):
        hub_rows("sums", [table()], "test", None)


def test_other_columns_are_an_error(hub: Path) -> None:
    (hub / "rows.jsonl").write_text('{"question": "?"}\n')
    with pytest.raises(QuestionError, match=r"row 0 of rows\.jsonl in org/sums is not as expected: KeyError 'text'"):
        hub_rows("sums", [table()], "test", None)


def test_options_stand_in_the_noted_order_whatever_the_order_of_the_hub() -> None:
    ours = ["delta", "alpha", "Gamma", "beta"]  # the label is Gamma, C
    entry = Entry("test", "x/1", "1", order_of(ours, 2))
    for theirs in (["Gamma", "alpha", "beta", "delta"], ["beta", "delta", "Gamma\n", "alpha"]):
        correct = next(i for i, option in enumerate(theirs) if option.strip() == "Gamma")
        row = to_row("x", entry, Candidate("1", "Which?", options=tuple(theirs), correct=correct))
        assert [o.strip() for o in row["options"]] == ours
        assert row["answer"] == "C"
        assert row["question"] == "Which?\n\nA. delta\nB. alpha\nC. Gamma\nD. beta"


def test_of_two_equal_options_the_right_one_keeps_its_place() -> None:
    for place in (0, 1):
        entry = Entry("test", "x/1", "1", order_of(["same", "same", "other"], place))
        row = to_row("x", entry, Candidate("1", "Which?", options=("same", "other", "same"), correct=0))
        assert row["answer"] == "AB"[place]


def test_digest_ignores_layout_and_the_order_of_options() -> None:
    assert digest("Find  $\\dfrac{1}{2}$ , Now.", ["b", "A."]) == digest("find \\frac{1}{2} now", ["a", "B"])
    assert digest("x + 1") != digest("x - 1")


@pytest.mark.parametrize(
    ("error", "message"),
    [("GatedRepoError", "accept its terms on the hub"), ("EntryNotFoundError", "cannot fetch"), (None, "cannot fetch")],
)
def test_what_the_hub_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str | None, message: str) -> None:
    from huggingface_hub import errors

    def refuse(*_: object, **__: object) -> str:
        if error is None:
            raise errors.LocalEntryNotFoundError("offline")
        kind = getattr(errors, error)
        raise kind.__new__(kind)  # its constructor wants a response of the hub's HTTP client

    monkeypatch.setattr(_hub, "_reach_hub", lambda: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(QuestionError, match=message):
        fetch(table(), tmp_path)


def test_a_hub_out_of_reach_is_not_asked_again_and_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def offline(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr("requests.head", offline)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args, **_: asked.append(args))
    with pytest.raises(QuestionError, match=r"cannot fetch rows\.jsonl of data set org/sums from the hub"):
        fetch(table(), tmp_path)
    assert not asked


def test_what_is_in_the_cache_needs_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    cached = tmp_path / "datasets--org--sums" / "snapshots" / ("0" * 40) / "rows.jsonl"
    cached.parent.mkdir(parents=True)
    cached.write_text("{}\n")
    monkeypatch.setattr("requests.head", offline)
    assert fetch(table(), tmp_path) == cached
