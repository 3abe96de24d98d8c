"""The heat map of a bank: what it counts, and what is drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from smcs import cli
from smcs.bank.arrays import QuestionBank
from smcs.bank.groups import Groups, grouped
from smcs.bank.plot import heat_map, save
from smcs.bank.tables import Cell
from smcs.errors import BankError, ConfigError
from smcs.types import EmbedderInfo, Question

NEVER_ASKED = 3


@pytest.fixture
def bank() -> QuestionBank:
    """Four LLMs, of which one was asked only the sums and one nothing; the label of two questions has no subject."""
    questions = tuple(
        Question(
            f"{i}?", str(i), benchmark="sums" if i < 6 else "words", meta={"subject": f"s{i % 2}"} if i > 1 else {}
        )
        for i in range(10)
    )
    rng = np.random.default_rng(0)
    observed = np.ones((4, 10), np.bool_)
    observed[2, 6:] = False
    observed[1, 0] = False
    observed[NEVER_ASKED] = False
    capability = (rng.random((4, 10)) < 0.5).astype(np.uint8) * observed
    vectors = np.eye(10, dtype=np.float32)
    return QuestionBank(questions, vectors, EmbedderInfo("e", "", 10), tuple("abcd"), capability, observed)


def test_counts_are_those_of_the_arrays(bank: QuestionBank) -> None:
    groups = grouped(bank)
    assert groups.names == ("sums", "words")
    assert groups.questions.tolist() == [6, 4]
    assert groups.graded.tolist() == [[6, 4], [5, 4], [6, 0], [0, 0]]
    assert groups.correct.tolist() == [[row[:6].sum(), row[6:].sum()] for row in bank.capability]
    for name, column in bank.accuracy_by_benchmark().items():
        np.testing.assert_allclose(groups.accuracy[:, groups.names.index(name)], column)
    cell = Cell(6, correct=int(groups.correct[0, 0]), graded=6)
    assert groups.standard_error[0, 0] == pytest.approx(cell.standard_error)
    assert groups.coverage[1].tolist() == [5 / 6, 1]
    assert np.isnan(groups.accuracy[NEVER_ASKED]).all()


def test_by_a_key_of_the_metadata(bank: QuestionBank) -> None:
    groups = grouped(bank, "subject")
    assert groups.names == ("s0", "s1", "(none)")
    assert groups.questions.tolist() == [4, 4, 2]
    np.testing.assert_array_equal(groups.with_total("all").graded[:, -1], bank.observed.sum(axis=1))
    with pytest.raises(ConfigError, match=r"no question of the bank has 'subjcet'; did you mean 'subject'"):
        grouped(bank, "subjcet")


def test_llms_that_were_asked_the_same_stand_together_best_first() -> None:
    graded = np.array([[5, 0], [5, 5], [5, 0], [0, 5], [5, 5]])
    correct = np.array([[1, 0], [2, 2], [4, 0], [0, 5], [3, 3]])
    names = ("only-one", "both", "only-one-better", "other", "both-better")
    ordered = Groups(names, ("x", "y"), np.array([5, 5]), correct, graded).ordered()
    assert ordered.llms == ("both-better", "both", "only-one-better", "only-one", "other")
    assert ordered.correct.tolist() == [[3, 3], [2, 2], [4, 0], [1, 0], [0, 5]]


def texts_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_cell_says_accuracy_error_and_n(bank: QuestionBank) -> None:
    figure = heat_map(grouped(bank), "A bank")
    figure.draw_without_rendering()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == list("abcd")
    assert labels[-1] == "d", "who was asked nothing comes last"
    texts = texts_of(figure)
    drawn = 3 + 2 + 3  # cells with a number: sums, words, all
    assert len([text for text in texts if re.fullmatch(r"\d+\.\d", text)]) == drawn
    assert len([text for text in texts if re.fullmatch(r"±\d+\.\d  n=\d+", text)]) == drawn
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    # Not asked: words by one, everything by another; partly: sums and all by the second, all by the third.
    assert len(hatched) == 1 + 3 + 3
    assert figure.axes[1].get_ylabel().startswith("accuracy (%")


def test_names_are_no_markup_and_need_no_glyph(bank: QuestionBank, tmp_path: Path) -> None:
    groups = grouped(bank)
    odd = Groups(("$\\frac{", "$x$", "\U0001f40d\u8a9e", "_^{}"), *(getattr(groups, n) for n in GROUP_FIELDS))
    save(heat_map(odd, "$\\frac{"), tmp_path / "odd.png")
    assert imread(tmp_path / "odd.png").shape[2] == 4


GROUP_FIELDS = ("names", "questions", "correct", "graded")


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_same_bank_gives_the_same_file(bank: QuestionBank, tmp_path: Path, suffix: str, magic: bytes) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        save(heat_map(grouped(bank), "A bank"), path)
    one, two = (path.read_bytes() for path in paths)
    assert one.startswith(magic)
    assert one == two
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


def test_one_llm_and_one_benchmark(bank: QuestionBank, tmp_path: Path) -> None:
    questions = tuple(Question(q.text, q.id, benchmark="b") for q in bank.questions)
    one = QuestionBank(questions, bank.embeddings, bank.embedder, ("a",), bank.capability[:1], bank.observed[:1])
    save(heat_map(grouped(one), "One"), tmp_path / "one.png")
    assert imread(tmp_path / "one.png").shape[0] > 100


def test_where_a_picture_cannot_go(bank: QuestionBank, tmp_path: Path) -> None:
    figure = heat_map(grouped(bank), "A bank")
    with pytest.raises(ConfigError, match=r"ends in one of \.png, \.svg, \.pdf, not '\.bank'"):
        save(figure, tmp_path / "my.bank")
    with pytest.raises(BankError, match="no folder"):
        save(figure, tmp_path / "none" / "x.png")


class TestCommand:
    def test_the_starter_bank(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "starter.svg"
        assert cli.run(["bank", "plot", "--out", str(target), "--by", "level"]) == 0
        assert "6 LLMs, 3 columns" in capsys.readouterr().out
        assert target.read_text(encoding="utf-8").count("<path") > 50

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["none.bank"], 2, "there is no bank none.bank"),
            (["--out", "x.jpg"], 2, "ends in one of"),
            (["--by", "subject"], 2, "no question of the bank has 'subject' (known: benchmark, "),
            (["--llm", "qwen"], 1, "has no LLM 'qwen'"),
            (["--split", "tset"], 1, "no graded response"),
        ],
    )
    def test_wrong_input(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        status: int,
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert cli.run(["bank", "plot", *arguments]) == status
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.out == ""
        assert not list(tmp_path.iterdir())
