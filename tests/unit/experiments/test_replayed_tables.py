"""Tables of recorded answers, on answers whose outcome is known: two benchmarks, and an LLM for each."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from smcs.experiments import figure4, table3, table4, table5
from smcs.experiments.exhibit import Exhibit, Measured
from smcs.experiments.replayed import Replayed, read_replayed

LLMS = ("reader", "reckoner", "neither", "coin")
_WORDS = {"prose": "poem novel verse author rhyme", "sums": "plus minus times number digit"}


def questions_of(benchmark: str) -> list[dict[str, Any]]:
    words = _WORDS[benchmark].split()
    return [
        {
            "id": f"{benchmark}-{i}",
            "benchmark": benchmark,
            "split": "test" if i % 3 == 0 else "validation",
            "question": f"{words[i % 5]} {words[(i + 1) % 5]} {words[(i // 5) % 5]} {benchmark} {i}",
            "options": None,
            "meta": {"subject": "one" if i % 2 else "two"},
        }
        for i in range(60)
    ]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The reader is right on all prose, the reckoner on all sums, the coin on every other question."""
    folder = tmp_path_factory.mktemp("recorded")
    for benchmark, right in (("prose", "reader"), ("sums", "reckoner")):
        questions = questions_of(benchmark)
        (folder / f"{benchmark}_questions.jsonl.zst").write_bytes(compressed(questions))
        correct = np.array([[llm == right or (llm == "coin" and i % 2) for i in range(60)] for llm in LLMS])
        # Right answers are 0; every LLM is wrong in its own way.
        answers = np.where(correct, 0, np.arange(1, 5)[:, None])
        np.savez(
            folder / f"{benchmark}_matrix.npz", V=correct.astype(np.uint8), observed=np.ones_like(correct),
            answer_code=answers, llms=np.array(LLMS), question_ids=np.array([q["id"] for q in questions]),
        )  # fmt: skip
    (folder / "summary.json").write_text(json.dumps({"open15": list(LLMS)}))
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("smcs.experiments.embedding.cache_dir", lambda: folder / "cache")
    try:
        return asyncio.run(read_replayed(folder, "tfidf", k=2, seed=0, draws=4))
    finally:
        monkeypatch.undo()


def compressed(questions: list[dict[str, Any]]) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress("".join(json.dumps(q) + "\n" for q in questions).encode())


def cell(exhibit: Exhibit, group: str, label: str, column: str) -> float:
    rows = [row for row in exhibit.rows if (row.group.startswith(group) if group else not row.group)]
    (row,) = [row for row in rows if row.label.startswith(label)]
    found = row.ours[column]
    assert isinstance(found, Measured)
    return found.value


def test_a_bank_of_the_other_benchmark_selects_the_wrong_llm(replayed: Replayed) -> None:
    made = table3.from_recorded(replayed)
    first = "the one selected first"
    for benchmark in ("prose", "sums"):
        assert cell(made, first, "its own", benchmark) == 100
        assert cell(made, first, "another", benchmark) == 0
        # Of four LLMs one is always right, one in half of the cases.
        assert cell(made, first, "none", benchmark) == pytest.approx(37.5, abs=1)
    contrast = next(c for c in made.contrasts if c.one == "retrieval-top1: all" and c.column == "sums")
    assert contrast.verdict == "first is better"
    printed = [row for row in made.rows if row.paper]
    assert len(printed) == 3
    assert not any(row.ours for row in printed), "the paper's figures are of other LLMs and benchmarks"


def test_priors_rank_by_what_the_bank_says(replayed: Replayed) -> None:
    made = table4.from_recorded(replayed)
    assert cell(made, "", "accuracy on the question's subject", "sums") == 100
    assert cell(made, "with a bank of other", "SMCS", "sums") < 50
    assert cell(made, "", "SMCS", "sums") > cell(made, "with a bank of other", "SMCS", "sums")


def test_larger_pools_hold_the_right_llm_oftener(replayed: Replayed) -> None:
    made = figure4.from_recorded(replayed)
    assert cell(made, "the one retrieved", "3 LLMs", "sums") <= cell(made, "the one retrieved", "4 LLMs", "sums")
    assert made.chart is not None
    assert [panel.title for panel in made.chart.panels] == ["prose", "sums"]


def test_the_pool_by_its_strength(replayed: Replayed) -> None:
    made = table5.from_recorded(replayed)
    assert cell(made, "prose+sums", "neither", "accuracy") == 0
    assert sum(row.group == "of the paper" for row in made.rows) == 15


def test_the_same_twice(replayed: Replayed) -> None:
    assert table3.from_recorded(replayed).to_dict() == table3.from_recorded(replayed).to_dict()
