"""How long a bank takes to import recorded answers, and to open.

    python benchmarks/bank_store.py [--recorded DIR] [--llms 15] [--questions 10000] [--dimension 384]

Opening: a made-up bank of that size, loaded into arrays, the first time in a fresh process and again. With
``--recorded`` (the folder with ``gsm_questions.jsonl.zst`` and so on) also the import of all recorded answers by
``smcs bank import``, with questions embedded by word frequencies: how long another embedder takes is its own affair.
Processor time is printed beside the time of the clock, which other work on the machine makes longer.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smcs.bank import load_bank, open_bank
from smcs.bank.create import create_bank
from smcs.bank.records import Answered, Graded, Setting
from smcs.bank.writer import write_records, write_settings
from smcs.types import Completion, EmbedderInfo, Grade, LLMInfo, Question, Sampling

POOL = '[[llm]]\nname = "none"\nbackend = "simulated"\n[embedder]\nbackend = "tfidf"\n'
NAMES = ("gsm", "crux", "mmlu_pro")
LOAD = "import sys, time; b = time.perf_counter(); c = time.process_time()\nfrom smcs.bank import load_bank\n" + (
    "i = time.perf_counter(); bank = load_bank(sys.argv[1])\n"
    "print(f'{i - b:.2f} {time.perf_counter() - i:.3f} {time.process_time() - c:.2f}')"
)


class RandomEmbedder:
    """Vectors at no cost."""

    def __init__(self, dimension: int) -> None:
        self._rng = np.random.default_rng(0)
        self._dimension = dimension

    async def start(self) -> EmbedderInfo:
        return EmbedderInfo("random", "", self._dimension)

    async def embed(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        vectors = self._rng.normal(size=(len(texts), self._dimension)).astype(np.float32)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    async def aclose(self) -> None:
        pass


def fill(path: Path, llms: int, questions: int) -> None:
    """Store an answer of some hundred characters, with its grade, of each LLM to each question."""
    setting = Setting("made-up", Sampling(), "")
    text = "So the value follows from the terms that are given. " * 8 + "The answer is (B)."
    with open_bank(path, write=True) as store:
        for number in range(llms):
            info = LLMInfo(f"llm-{number}", "made-up", f"model {number}", True, True)
            llm = store.register(info).seq
            with store.transaction() as connection:
                write_settings(connection, [setting])
                answers = [
                    Answered(f"{number}/{q}".encode(), llm, (q,), setting.digest, Completion(info.name, text))
                    for q in range(1, questions + 1)
                ]
                write_records(connection, answers)
                grades = [
                    Graded(a.key, llm, a.questions[0], "choice", "1", Grade((a.questions[0] + number) % 3 > 0, "B"))
                    for a in answers
                ]
                write_records(connection, grades)


def opening(folder: Path, llms: int, questions: int, dimension: int) -> None:
    path = folder / "made-up.bank"
    items = [
        (Question(f"Question {i}? {'word ' * 60}", f"q{i}", "B", "choice", f"b{i % 8}"), "validation")
        for i in range(questions)
    ]
    asyncio.run(create_bank(path, items, RandomEmbedder(dimension)))
    fill(path, llms, questions)
    print(f"bank of {llms} LLMs x {questions} questions, d = {dimension}: {path.stat().st_size / 1e6:.0f} MB")
    for _ in range(3):
        command = [sys.executable, "-c", LOAD, str(path)]
        imports, loading, cpu = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        print(f"  fresh process: imports {imports} s, open and load {loading} s ({cpu} s of processor time in all)")
    times = []
    for _ in range(5):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        assert load_bank(path).observed.all()
        times.append((time.perf_counter() - begin, time.process_time() - cpu_begin))
    print(f"  again in one process: {min(times)[0]:.3f} s at best, processor time {min(c for _, c in times):.3f} s")


def importing(folder: Path, recorded: Path) -> None:
    pool, path = folder / "pool.toml", folder / "recorded.bank"
    pool.write_text(POOL, encoding="utf-8")
    command = [sys.executable, "-m", "smcs", "bank", "import", str(path), "--pool", str(pool), "-q"]
    for name in NAMES:
        command += ["--questions", str(recorded / f"{name}_questions.jsonl.zst")]
        command += ["--responses", str(recorded / f"{name}_responses.parquet")]
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open_bank(path) as store:
        grades = int(store.load(None).observed.sum())
    print(
        f"imported {grades} answers in {time.perf_counter() - begin:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of "
        f"processor time; {path.stat().st_size / 1e6:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", type=Path)
    parser.add_argument("--llms", type=int, default=15)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=384)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.recorded:
            importing(Path(folder), arguments.recorded)
        opening(Path(folder), arguments.llms, arguments.questions, arguments.dimension)


if __name__ == "__main__":
    main()
