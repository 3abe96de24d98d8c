"""Small data of the recorded format, written by the tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Answers = Mapping[str, Sequence[str | None]]
Write = Callable[..., list[str]]


def write_benchmark(folder: Path, name: str, answers: Answers, bank: int, gold: str = "1") -> list[str]:
    """Write questions, responses and matrix of a benchmark; every question's gold answer is the same.

    Args:
        folder: where to.
        name: of the benchmark.
        answers: by LLM the answer to each question; None where none was found.
        bank: how many of the first questions are the bank.

    Returns:
        Options for the command: the questions and the responses.
    """
    count = len(next(iter(answers.values())))
    rows = [
        {
            "id": f"{name}-{i}",
            "benchmark": name,
            "split": "validation" if i < bank else "test",
            "question": f"{name}: how many {'apples' if i % 2 else 'rivers'} make {i}?",
            "options": None,
            "answer": gold,
            "meta": {"subject": "fruit" if i % 2 else "water"},
        }
        for i in range(count)
    ]
    (folder / f"{name}_questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    responses = [
        {"benchmark": name, "question_id": f"{name}-{i}", "split": "", "llm": llm, "response": "...", "extracted": said,
         "correct": said == gold, "completion_tokens": 1}
        for llm, all_said in answers.items()
        for i, said in enumerate(all_said)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(responses), folder / f"{name}_responses.parquet")
    _write_matrix(folder / f"{name}_matrix.npz", name, answers, gold)
    return [
        "--questions",
        str(folder / f"{name}_questions.jsonl"),
        "--responses",
        str(folder / f"{name}_responses.parquet"),
    ]


def _write_matrix(file: Path, name: str, answers: Answers, gold: str) -> None:
    texts = sorted({said for all_said in answers.values() for said in all_said if said is not None})
    codes = [[-1 if said is None else texts.index(said) for said in all_said] for all_said in answers.values()]
    count = len(codes[0])
    np.savez(
        file,
        V=np.array([[said == gold for said in all_said] for all_said in answers.values()], np.uint8),
        observed=np.ones((len(answers), count), bool),
        answer_code=np.array(codes),
        llms=np.array(list(answers)),
        question_ids=np.array([f"{name}-{i}" for i in range(count)]),
    )


def drawn(seed: int, accuracies: Mapping[str, float], count: int) -> dict[str, list[str | None]]:
    """Answers of LLMs that are right so often; wrong ones are spread over three."""
    rng = np.random.default_rng(seed)
    return {
        llm: ["1" if rng.random() < accuracy else str(rng.integers(2, 5)) for _ in range(count)]
        for llm, accuracy in accuracies.items()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two benchmarks that have two LLMs in common, and one that has none in common with them."""
    write_benchmark(tmp_path, "alpha", drawn(1, {"a": 0.5, "b": 0.6, "c": 0.8}, 60), bank=35)
    write_benchmark(tmp_path, "beta", drawn(2, {"b": 0.6, "c": 0.7, "d": 0.4}, 50), bank=30)
    write_benchmark(tmp_path, "gamma", drawn(3, {"x": 0.5, "y": 0.7, "z": 0.6}, 40), bank=20)
    return tmp_path


def options_for(folder: Path, *names: str, answers: str = "responses") -> list[str]:
    """The command's options for some of the benchmarks of a folder."""
    ending = "parquet" if answers == "responses" else "npz"
    made: list[Any] = []
    for name in names:
        made += [
            "--questions",
            folder / f"{name}_questions.jsonl",
            f"--{answers}",
            folder / f"{name}_{answers}.{ending}",
        ]
    return [str(part) for part in made]
