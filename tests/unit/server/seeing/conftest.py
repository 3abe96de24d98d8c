"""A pool file and a bank on disk, as a user has them, with simulated LLMs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smcs.bank import open_bank
from smcs.cli import run
from smcs.server.configuration import Sources

QUESTIONS = [
    {
        "id": f"sums-{i}",
        "question": f"What is {i} plus {i + 1}?",
        "answer": str(2 * i + 1),
        "grader": "numeric",
        "benchmark": "sums",
    }
    for i in range(2, 18)
]
METHOD = """
[embedder]
backend = "tfidf"

[smcs]
k = 3
n_base = 8
n_aggregations = 4
sampling = { max_tokens = 100 }
"""


class World:
    """A folder with ``pool.toml``, ``my.bank`` and ``questions.jsonl``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = folder / "pool.toml"
        self.bank = folder / "my.bank"
        self.sources = Sources(self.pool, self.bank)

    def llm(self, name: str, **settings: object) -> str:
        values: dict[str, object] = {"seed": sum(name.encode()), "skill": 0.8, "price_prompt": 1.0}
        values |= {"price_completion": 2.0, "answers": "questions.jsonl", **settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join(["[[llm]]", f"name = {json.dumps(name)}", 'backend = "simulated"', *lines, ""])

    def write_pool(self, *llms: str, method: str = METHOD) -> None:
        """Write the pool file as an editor does: a new file in the place of the old one."""
        fresh = self.pool.with_suffix(".new")
        fresh.write_text("\n".join([*llms, method]), encoding="utf-8")
        fresh.replace(self.pool)

    def smcs(self, *arguments: str) -> None:
        assert run(list(arguments)) == 0, arguments

    def evaluate(self, *llms: str) -> None:
        """Grade these LLMs on the bank, as an evaluation would, without waiting for one."""
        with open_bank(self.bank) as store:
            ids = [stored.question.id for stored in store.questions()]
        rows = [
            {"question_id": question, "llm": llm, "response": f"The answer is {i}.", "correct": (i + len(llm)) % 3 > 0}
            | {"backend": "simulated", "model": "simulated (skill 0.8)"}
            for llm in llms
            for i, question in enumerate(ids)
        ]
        answers = self.folder / "answers.parquet"
        pq.write_table(pa.Table.from_pylist(rows), answers)
        self.smcs("bank", "import", str(self.bank), "--responses", str(answers), "-q")


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"))
    lines = [json.dumps(question) + "\n" for question in QUESTIONS]
    (world.folder / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    world.write_pool(*(world.llm(name) for name in ("one", "two", "three")))
    source, pool = str(world.folder / "questions.jsonl"), str(world.pool)
    world.smcs("bank", "create", str(world.bank), "--from", source, "--pool", pool, "-q")
    world.evaluate("one", "two", "three")
    return world


@pytest.fixture
def world(first_world: World, tmp_path: Path) -> World:
    """A pool of one, two and three, and a bank that all three are evaluated on."""
    shutil.copytree(first_world.folder, tmp_path / "world")
    return World(tmp_path / "world")
