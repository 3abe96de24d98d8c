"""The store of traces: what was added is found, levels keep what they promise, bounds hold."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smcs.server.trace_file import TraceFile
from smcs.server.trace_record import at_level
from smcs.server.traces import Bounds, TracesError, TraceStore, UnknownTraceError, open_traces

NOW = time.time()
SECRET = "sk-live-0123456789abcdef"


def record(number: int = 0, **over: Any) -> dict[str, Any]:
    call = {
        "text": "PRIVATE of a reference",
        "reasoning": "PRIVATE of reasoning",
        "error": None,
        "finish_reason": "stop",
    }
    failed = {"text": None, "error": {"kind": "server_error", "message": "PRIVATE echoed", "attempts": 3}}
    return {
        "id": f"smcs-{number:024x}",
        "time": NOW + number,
        "source": "api",
        "strategy": "smcs",
        "settings": {
            "k": 3,
            "reference_prompt": "PRIVATE",
            "sampling": {"temperature": 0.5, "extra": {"x": "PRIVATE"}},
        },
        "limits": {"calls": 5},
        "seed": 7,
        "user": "PRIVATE",
        "question": "PRIVATE of the question",
        "history": [{"role": "user", "content": "PRIVATE"}],
        "answer": "PRIVATE of the answer",
        "status": "ok",
        "error": {"kind": "no_answer", "message": "PRIVATE"},
        "seconds": 1.5,
        "usage": {"calls": 3, "prompt_tokens": 40, "completion_tokens": 2, "cost_usd": None},
        "trace": {
            "embedder": "e",
            "prior": {"a": 0.5},
            "support": [{"id": "q1", "benchmark": "b", "similarity": 0.5, "text": "PRIVATE"}],
            "referencers": [{"llm": "a", "prior": 0.5, **call}, {"llm": "b", "prior": 0.4, **failed}],
            "aggregations": [{"subset": ["a"], "score": float("nan"), **call}],
            "winner": 0,
            "notes": ["PRIVATE"],
            "seconds": {"retrieve": 0.1},
        },
        "timeline": [
            {"stage": "reference", "index": 0, "llm": "a", "state": "failed", "at_s": 0.1, "message": "PRIVATE"}
        ],
        "added later": "PRIVATE",
        **over,
    }


def all_bytes(path: Path) -> bytes:
    """Everything in the file and beside it, with the compressed parts as they read."""
    found = b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
    with sqlite3.connect(path) as db:
        for (body,) in db.execute("SELECT body FROM traces"):
            found += zstandard.ZstdDecompressor().decompress(body)
    return found


async def opened(path: Path, **options: Any) -> TraceStore:
    store = await open_traces(path, **options)
    assert store is not None
    return store


async def test_what_was_added_is_found_by_id_and_by_words_and_in_pages(tmp_path: Path) -> None:
    async with await opened(tmp_path / "t.sqlite") as store:
        await asyncio.gather(*(store.add(record(i, question=f"Wie groß ist {i}?", answer=f"N{i}")) for i in range(25)))
        got = await store.get(record(3)["id"])
        assert got is not None
        assert (got["question"], got["answer"], got["trace"]["referencers"][0]["text"]) == (
            "Wie groß ist 3?",
            "N3",
            "PRIVATE of a reference",
        )
        assert got["trace"]["aggregations"][0]["score"] is None, "NaN is no JSON"
        assert await store.get("smcs-nothing") is None
        assert [s["question"] for s in await store.search("GROSS n7")] == ["Wie groß ist 7?"]
        pages = [await store.search(limit=10)]
        while pages[-1]:
            pages.append(await store.search(limit=10, before=pages[-1][-1]["id"]))
        assert [s["id"] for page in pages for s in page] == [record(i)["id"] for i in reversed(range(25))]
        assert await store.search(source="page") == []
        assert await store.search("100%_") == [], "no wildcards"
        assert len(await store.search(before=NOW + 5)) == 5


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(), min_size=1, max_size=40), min_size=1, max_size=6),
    number=st.floats() | st.integers(),
)
def test_any_texts_are_stored_and_found(tmp_path: Path, texts: list[str], number: float) -> None:
    async def run() -> None:
        path = tmp_path / f"{time.monotonic_ns()}.sqlite"
        async with await opened(path) as store:
            for i, text in enumerate(texts):
                await store.add(record(i, question=text, answer=text, seconds=0.0, trace={"x": number}))
            for i, text in enumerate(texts):
                got = await store.get(record(i)["id"])
                assert got is not None
                json.dumps(got, allow_nan=False)
                if not any("\ud800" <= c <= "\udfff" or c == "\0" for c in text):
                    assert got["question"] == text
                    found = {s["id"] for s in await store.search(text, limit=100)}
                    assert record(i)["id"] in found

    asyncio.run(run())


async def test_metadata_keeps_numbers_and_names_and_no_text_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    async with await opened(path, level="metadata") as store:
        await store.add(record(1))
        assert not await store.add_feedback(record(1)["id"], "wrong", answer="PRIVATE", comment="PRIVATE")
        got = await store.get(record(1)["id"])
        assert got is not None
        assert (got["strategy"], got["usage"]["calls"], got["trace"]["referencers"][1]["error"]["kind"]) == (
            "smcs",
            3,
            "server_error",
        )
        assert got["settings"] == {"k": 3, "sampling": {"temperature": 0.5}}
        assert got["feedback"][0]["verdict"] == "wrong"
        assert b"PRIVATE" not in all_bytes(path)
    assert b"PRIVATE" not in all_bytes(path)
    assert b"server_error" in all_bytes(path), "else this test sees nothing"


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just("PRIVATE"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "llm", "kind", "x"]), inner),
    max_leaves=8,
)


@given(extra=st.dictionaries(st.sampled_from(["question", "answer", "history", "user", "error2", "note"]), _json))
def test_no_new_key_passes_the_level_metadata(extra: dict[str, Any]) -> None:
    whole = record(1)
    whole["trace"] = {**whole["trace"], **extra}
    whole["trace"]["referencers"][0].update(extra)
    assert "PRIVATE" not in json.dumps(at_level({**whole, **extra}, "metadata"))


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("moa:layers=2", "moa:layers=2"),
        ("single:llm=org/model-7b", "single:llm=org/model-7b"),
        ("smcs:reference_prompt='PRIVATE words'", "smcs"),
        ("PRIVATE words", "other"),
    ],
)
def test_a_strategy_keeps_its_settings_but_no_prompt(label: str, kept: str) -> None:
    settings = {"k": 2, "PRIVATE": 1, "aggregator": "x", "sampling": {"top_k": 3, "PRIVATE": 4}}
    record_kept = at_level(record(1, strategy=label, settings=settings), "metadata")
    assert record_kept["strategy"] == kept
    assert record_kept["settings"] == {"k": 2, "aggregator": "x", "sampling": {"top_k": 3}}


async def test_no_key_is_ever_stored(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    async with await opened(path, secrets=[SECRET]) as store:
        told = f"Incorrect API key provided: {SECRET}"
        trace = {"notes": [told], "prior": {SECRET: 1}, "aggregations": [{"error": {"kind": "x", "message": told}}]}
        await store.add(record(1, question=told, answer=told, history=[{"content": told}], trace=trace))
        await store.add_feedback(record(1)["id"], "wrong", answer=SECRET, comment=told)
        assert SECRET.encode() not in all_bytes(path)
        assert b"provided: ***" in all_bytes(path)


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "t.sqlite"
    async with await opened(path) as store:
        await store.add(record(1))
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


async def test_bounds_hold_and_what_was_judged_goes_last(tmp_path: Path) -> None:
    async with await opened(tmp_path / "t.sqlite", bounds=Bounds(count=10)) as store:
        for i in range(5):
            await store.add(record(i))
        await store.add_feedback(record(0)["id"], "right")
        for i in range(5, 30):
            await store.add(record(i))
        left = {s["id"] for s in await store.search(limit=100)}
        assert left == {record(0)["id"], *(record(i)["id"] for i in range(21, 30))}
    async with await opened(tmp_path / "t.sqlite", bounds=Bounds(days=1)) as store:
        await store.add(record(50, time=NOW - 2 * 86_400))
        assert await store.get(record(50)["id"]) is None
    size = 100 * len(json.dumps(record(0)))
    async with await opened(tmp_path / "t.sqlite", bounds=Bounds(megabytes=size / 1e6)) as store:
        noise = [f"{hash((i, 'x')):x}" * 40 for i in range(400)]
        await asyncio.gather(*(store.add(record(i, answer=noise[i])) for i in range(400)))
        with sqlite3.connect(tmp_path / "t.sqlite") as db:
            assert 0 < db.execute("SELECT sum(size) FROM traces").fetchone()[0] <= size


async def test_deleted_traces_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    async with await opened(path) as store:
        await store.add(record(1, question="FORGOTTEN"))
        await store.add_feedback(record(1)["id"], "wrong", answer="FORGOTTEN")
        file = TraceFile.open(path)
        assert await asyncio.to_thread(file.delete, ids=[record(1)["id"]]) == 1
        file.close()
        assert b"FORGOTTEN" not in all_bytes(path)
        assert await store.feedback() == []


async def test_feedback_on_nothing_is_an_error_that_says_so(tmp_path: Path) -> None:
    async with await opened(tmp_path / "t.sqlite") as store:
        with pytest.raises(UnknownTraceError, match="no trace 'x'"):
            await store.add_feedback("x", "right")


async def test_what_is_no_file_of_traces_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("something else entirely")
    with pytest.raises(TracesError, match="no file of traces"):
        await open_traces(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "something else entirely"
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE mine (x)")
    with pytest.raises(TracesError, match="not one of traces"):
        await open_traces(tmp_path / "other.db")
    (await opened(tmp_path / "new.sqlite"))._file.close()
    with sqlite3.connect(tmp_path / "new.sqlite") as db:
        db.execute("UPDATE properties SET value = '9' WHERE key = 'version'")
    with pytest.raises(TracesError, match="format version 9"):
        await open_traces(tmp_path / "new.sqlite")
    with pytest.raises(TracesError, match="there are no traces"):
        TraceFile.open(tmp_path / "none.sqlite", write=False)
    assert await open_traces(tmp_path / "off.sqlite", "off") is None
    assert not (tmp_path / "off.sqlite").exists()
