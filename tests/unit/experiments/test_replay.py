"""What strategies would have answered, on examples worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.experiments.conftest import Answers, write_benchmark

from smcs.bank.recorded import read_recorded
from smcs.experiments.replay import Arena, Outcome, play


def outcome_of(tmp_path: Path, answers: Answers, bank: int, k: int = 2) -> Outcome:
    write_benchmark(tmp_path, "toy", answers, bank)
    (recorded,) = read_recorded([tmp_path / "toy_questions.jsonl"], [tmp_path / "toy_responses.parquet"])
    n = len(recorded.questions)
    at = np.arange(n)
    # Two kinds of question, told apart by what is asked of.
    vectors = np.array([[1.0, 0.0] if i % 2 else [0.0, 1.0] for i in range(n)])
    arena = Arena(
        recorded.with_questions(at[:bank]), recorded.with_questions(at[bank:]), vectors[:bank], vectors[bank:]
    )
    return play(arena, recorded.llms, k, priors=("equation4", "shrinkage"), ranked=("global",))


BANK: dict[str, list[str | None]] = {  # a is right on even questions, b on odd ones, c sometimes
    "a": ["1", "2", "1", "2", "1", "2", "1", "1"],
    "b": ["2", "1", "2", "1", "2", "1", "2", "1"],
    "c": ["1", "1", "2", "2", "2", "2", "2", "3"],
}
TEST: dict[str, list[str | None]] = {
    "a": ["1", "2", "1", None],
    "b": ["2", "1", "3", "1"],
    "c": ["2", "1", "2", "2"],
}


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    return outcome_of(tmp_path, {llm: [*BANK[llm], *TEST[llm]] for llm in BANK}, bank=8)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("single:a", [1, 0, 1, 0]),
        ("single:c", [0, 1, 0, 0]),
        ("best-single", [1, 0, 1, 0]),  # a: five of eight; b: four
        ("router", [1, 0, 1, 0]),
        ("majority", [0, 1, 1 / 3, 1 / 2]),  # a three-way tie; who states no answer does not vote
        ("retrieval-top1", [1, 1, 1, 1]),  # a on even questions, b on odd ones
        ("oracle", [1, 1, 1, 1]),
        ("weighted-k", [1, 1, 1, 1]),
    ],
)
def test_by_hand(outcome: Outcome, strategy: str, expected: list[float]) -> None:
    assert outcome.scores[strategy].tolist() == pytest.approx(expected)


def test_the_best_and_the_priors_by_hand(outcome: Outcome) -> None:
    assert outcome.best == "a"
    assert "weighted-k:shrinkage" in outcome.scores
    won, pairs = outcome.pairs["global"]
    # Pairs of a right and a wrong LLM: a over b and c; b and c over a; a over b and c; b over a and c.
    assert pairs.tolist() == [2, 2, 2, 2]
    assert won.tolist() == [2, 0, 2, 1]  # a before b before c, whatever is asked
    assert outcome.pairs["equation4"][0].sum() > won.sum()


def test_labels_of_the_test_change_no_answer(tmp_path: Path) -> None:
    """What is tuned is tuned on the bank: other test questions do not change what is chosen."""
    one = outcome_of(tmp_path, {llm: [*BANK[llm], *TEST[llm]] for llm in BANK}, bank=8)
    shuffled = {llm: [*BANK[llm], *TEST[llm][:2], "3", "3"] for llm in BANK}
    other = outcome_of(tmp_path, shuffled, bank=8)
    assert one.settings == other.settings
    for name in one.scores:
        assert one.scores[name][:2].tolist() == other.scores[name][:2].tolist(), name


def test_a_dominating_llm_decides_alone_where_the_others_err_together(tmp_path: Path) -> None:
    right, wrong = ["1"] * 30, ["2"] * 30
    half = ["1" if i % 2 else "2" for i in range(30)]
    answers: Answers = {"strong": right, "weak": half, "weaker": half, "weakest": half, "never": wrong}
    outcome = outcome_of(tmp_path, answers, bank=20, k=4)
    assert outcome.scores["weighted-k"].mean() == 1.0
    assert outcome.scores["majority"].mean() < 1.0


def test_k_larger_than_the_pool_is_the_pool(tmp_path: Path) -> None:
    answers = {llm: [*BANK[llm], *TEST[llm]] for llm in BANK}
    whole = outcome_of(tmp_path, answers, bank=8, k=9)
    assert whole.scores["majority-k"].tolist() == whole.scores["majority"].tolist()
