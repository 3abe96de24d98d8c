"""``smcs experiment recorded`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.experiments.conftest import drawn, options_for, write_benchmark

from smcs.cli import run

COMMAND = ["experiment", "recorded", "--embedder", "tfidf", "--k", "2"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMCS_CACHE", str(tmp_path / "cache"))


def study_of(tmp_path: Path, *options: str) -> dict[str, Any]:
    file = tmp_path / "study.json"
    assert run([*COMMAND, "--quiet", "--json", str(file), *options]) == 0
    study: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return study


def test_joined_sources_have_the_documented_layout(folder: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path, *options_for(folder, "alpha", "beta"))
    assert list(study["benchmarks"]) == ["alpha", "beta"]
    alpha = study["benchmarks"]["alpha"]
    assert alpha["llms"] == ["b", "c"]  # the ones that both have
    assert alpha["bank"] == {"alpha": 35, "beta": 30}  # one bank
    for strategy in ("majority", "best-single", "router", "weighted-k", "retrieval-top1", "single:b", "oracle"):
        assert set(alpha["strategies"][strategy]) == {"accuracy", "standard_error", "n"}
        assert alpha["strategies"][strategy]["n"] == 25
    for prior in ("equation4", "global", "kernel-ridge-shared"):
        assert 0 <= alpha["priors"][prior]["pairwise_ranking_score"] <= 1
    assert {"a"} == set(alpha["outside_references"]) or not alpha["outside_references"]


def test_the_figures_are_those_of_the_data(folder: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path, *options_for(folder, "gamma"))
    said = drawn(3, {"x": 0.5, "y": 0.7, "z": 0.6}, 40)["y"][20:]
    right = np.array([answer == "1" for answer in said], float)
    found = study["benchmarks"]["gamma"]["strategies"]["single:y"]
    assert found == {
        "accuracy": pytest.approx(right.mean(), abs=1e-6),
        "standard_error": pytest.approx(right.std(ddof=1) / np.sqrt(20), abs=1e-6),
        "n": 20,
    }


def test_sources_without_common_llms_are_studied_apart(folder: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path, *options_for(folder, "alpha", "gamma"))
    assert study["benchmarks"]["alpha"]["llms"] == ["a", "b", "c"]
    assert study["benchmarks"]["gamma"]["llms"] == ["x", "y", "z"]


def test_responses_and_matrix_say_the_same_and_so_does_a_second_run(folder: Path, tmp_path: Path) -> None:
    parts = ("--parts", "main,pool-size,bank-size", "--seed", "3")
    by_responses = study_of(tmp_path, *options_for(folder, "alpha"), *parts)
    by_matrix = study_of(tmp_path, *options_for(folder, "alpha", answers="matrix"), *parts)
    assert by_responses == by_matrix


def test_a_folder_is_studied_whole_with_plots_and_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for name, seed in (("one", 5), ("two", 6)):
        write_benchmark(data, name, drawn(seed, {"a": 0.5, "b": 0.6, "c": 0.8, "d": 0.7}, 40), bank=25)
        (data / f"{name}_questions.jsonl").rename(data / f"{name}_questions.jsonl.plain")
        compressed(data / f"{name}_questions.jsonl.plain", data / f"{name}_questions.jsonl.zst")
    assert run([*COMMAND, "--data", str(data), "--out", str(out)]) == 0
    study = json.loads((out / "recorded.json").read_text(encoding="utf-8"))
    assert set(study["parts"]) == {"leave-out", "k", "pool-size", "bank-size", "transfer"}
    assert {row["k"] for row in study["parts"]["k"] if row["without"] == 0} == {1, 2, 3, 4}
    assert {row["bank"] for row in study["parts"]["transfer"]} >= {"one", "two"}
    assert sorted(p.stem for p in out.glob("*.png")) == [
        f"recorded-{name}" for name in ("bank-size", "k", "k-without-two", "leave-out", "pool-size", "priors")
    ]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in out.glob("*.png"))
    assert "| weighted-k |" in (out / "tables.md").read_text(encoding="utf-8")
    assert "weighted-k" in capsys.readouterr().out


def compressed(source: Path, target: Path) -> None:
    import zstandard

    target.write_bytes(zstandard.ZstdCompressor().compress(source.read_bytes()))


def test_named_strategies_alone_are_reported(folder: Path, tmp_path: Path) -> None:
    study = study_of(
        tmp_path, *options_for(folder, "alpha"), "--strategies", "majority,single:b,weighted-k:ridge", "--llms", "b,c"
    )
    assert set(study["benchmarks"]["alpha"]["strategies"]) == {"majority", "single:b", "weighted-k:ridge"}
    assert set(study["benchmarks"]["alpha"]["outside_references"]) == {"a"}


def test_json_to_standard_output_is_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*COMMAND, "-q", "--json", "-", *options_for(folder, "gamma")]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == "recorded"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategies", "magority"], "unknown strategy 'magority'; did you mean 'majority'?"),
        (["--strategies", "weighted-k:nonsense"], "unknown prior in the strategy 'weighted-k:nonsense'"),
        (["--priors", "equation5"], "did you mean 'equation4'?"),
        (["--parts", "mian"], "unknown part 'mian'; did you mean 'main'?"),
        (["--llms", "a,nobody"], "no recorded answers of nobody"),
        (["--llms", "a"], "at least two are needed"),
        (["--test-split", "exam"], "no test question of split 'exam' (has: test, validation)"),
        (["--embedder", "word2vec"], "word2vec"),
        (["--questions", "/nowhere.jsonl"], "'/nowhere.jsonl' does not exist"),
        (["--json", "/nowhere/x.json"], "there is no folder /nowhere"),
    ],
)
def test_wrong_input_is_one_clear_error(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run([*COMMAND, *options_for(folder, "alpha"), *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_no_input_and_half_an_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(COMMAND) == 2
    assert "--questions FILE" in capsys.readouterr().err
    assert run([*COMMAND, "--questions", str(folder / "alpha_questions.jsonl")]) == 2
    assert "--responses FILE" in capsys.readouterr().err
    assert run([*COMMAND, "--data", str(folder), *options_for(folder, "alpha")]) == 2
    assert "--data is a whole folder" in capsys.readouterr().err


@pytest.mark.shared
def test_on_real_answers(shared_dir: Path, tmp_path: Path) -> None:
    """A few figures that anybody can count from the data of gsm, with the LLMs that its summary lists."""
    place = shared_dir / "data" / "recorded"
    llms = json.loads((place / "summary.json").read_text(encoding="utf-8"))["open15"]
    study = study_of(
        tmp_path,
        *("--questions", str(place / "gsm_questions.jsonl.zst"), "--matrix", str(place / "gsm_matrix.npz")),
        *("--llms", ",".join(llms), "--strategies", "single,majority,weighted-k,best-single,oracle", "--k", "7"),
    )
    gsm = study["benchmarks"]["gsm"]
    with np.load(place / "gsm_matrix.npz") as content:
        rows = [content["llms"].tolist().index(llm) for llm in llms]
        right = content["V"][rows][:, content["splits"] == "test"]
    assert gsm["strategies"]["single:Mistral-Large-2"]["accuracy"] == pytest.approx(
        right[llms.index("Mistral-Large-2")].mean(), abs=1e-6
    )
    assert gsm["strategies"]["oracle"]["accuracy"] == pytest.approx(right.any(axis=0).mean(), abs=1e-6)
    assert gsm["strategies"]["weighted-k"]["accuracy"] > gsm["strategies"]["best-single"]["accuracy"]
    assert len(gsm["outside_references"]) == 24
