"""Assemble the questions of the starter bank: ``python -m scripts.starter_questions [--check] [--out FILE]``.

The hand-written part is read from ``scripts/starter/<benchmark>.jsonl``; the rest comes from reasoning-gym's generators
with fixed seeds (``scripts/starter/recipes.py``). The same inputs give the same bytes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from scripts.starter.recipes import RECIPES, Draft, Recipe

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "src" / "smcs" / "data" / "starter" / "questions.jsonl"
BENCHMARKS = ("mathematics", "code", "logic", "knowledge", "instructions", "reading", "language")
SEED = 20_261
SCAN_LIMIT = 2000
LETTERS = "ABCD"
CHOICE_REQUESTS = (
    "Answer with the letter only.",
    "Reply with just the letter of the right option.",
    "Which letter is right? Finish with: The answer is X.",
    'Choose one option and end with "The answer is" and its letter.',
)
NUMBER_REQUESTS = (
    "Finish with: The answer is X.",
    "Give only the number.",
    "Reply with the number and nothing else.",
    'End with "The answer is" and the number.',
)

Row: TypeAlias = dict[str, Any]


def generated(recipe: Recipe) -> Iterator[Row]:
    """The questions of one recipe.

    Raises:
        RuntimeError: the generator does not give enough that can be used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a dependency of reasoning-gym compiles with syntax warnings
        import reasoning_gym  # noqa: PLC0415

    prefix = f"{recipe.benchmark}-{recipe.name}"
    seed = _generator(prefix).randrange(10**6)
    data = reasoning_gym.create_dataset(recipe.dataset, seed=seed, size=SCAN_LIMIT, **recipe.settings)
    seen: set[str] = set()
    for index in range(SCAN_LIMIT):
        draft = recipe.write(data[index])
        if draft is None or (draft.answer if recipe.varied else draft.text) in seen:
            continue
        seen.add(draft.answer if recipe.varied else draft.text)
        source = {"source": f"reasoning-gym:{recipe.dataset}", "seed": seed, "index": index}
        meta = {"level": recipe.level, **source}
        yield _row(f"{prefix}-{len(seen)}", draft) | {"benchmark": recipe.benchmark, "meta": meta}
        if len(seen) == recipe.count:
            return
    raise RuntimeError(f"{prefix}: only {len(seen)} of {recipe.count} questions in {SCAN_LIMIT} entries")


def _row(question_id: str, draft: Draft) -> Row:
    request = " " + _generator(question_id).choice(NUMBER_REQUESTS) if draft.grader == "numeric" else ""
    row: Row = {"id": question_id, "question": draft.text + request, "answer": draft.answer, "grader": draft.grader}
    return row | {"options": list(draft.options)} if draft.options else row


def handwritten(benchmark: str) -> Iterator[Row]:
    """The questions of ``starter/<benchmark>.jsonl``."""
    for line in (HERE / "starter" / f"{benchmark}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        meta = {"level": row["meta"].pop("level"), "source": "handwritten", **row["meta"]}
        yield row | {"benchmark": benchmark, "meta": meta}


def lettered(rows: Iterable[Row]) -> Iterator[Row]:
    """The options of each choice as lines of its text, in an order of their own; the label becomes a letter.

    Of four choices in a row each has another right letter, so that always answering the same gains nothing.
    """
    places: list[int] = []
    for row in rows:
        if row["grader"] != "choice":
            yield row
            continue
        generator = _generator(row["id"])
        places = places or generator.sample(range(len(LETTERS)), len(LETTERS))
        right, others = row["answer"], [text for text in row["options"] if text != row["answer"]]
        generator.shuffle(others)
        place = places.pop() % (len(others) + 1)
        options = [*others[:place], right, *others[place:]]
        lines = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False))
        question = f"{row['question']}\n\n{lines}\n\n{generator.choice(CHOICE_REQUESTS)}"
        yield row | {"question": question, "answer": LETTERS[place], "options": options}


def build() -> list[Row]:
    """All questions, benchmark by benchmark, the hand-written ones first."""
    rows: list[Row] = []
    for benchmark in BENCHMARKS:
        rows += lettered(handwritten(benchmark))  # dealt by file, so that a line more at its end moves no other letter
        rows += lettered(itertools.chain.from_iterable(generated(r) for r in RECIPES if r.benchmark == benchmark))
    keys = ("id", "question", "answer", "grader", "benchmark", "options", "meta")
    return [{key: row[key] for key in keys if key in row} for row in rows]


def _generator(name: str) -> random.Random:
    """Randomness of its own for each question, so that adding one leaves the others as they are."""
    return random.Random(f"{SEED}:{name}")


def main() -> int:
    """Write the file, or compare it with what would be written."""
    parser = argparse.ArgumentParser(description="Assemble the questions of the starter bank.")
    parser.add_argument("--out", type=Path, default=OUT, help="file to write")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where the file differs")
    options = parser.parse_args()
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in build())
    if options.check:
        same = options.out.is_file() and options.out.read_bytes() == text.encode()
        print(
            f"{options.out.name} is {'up to date' if same else 'out of date: run python -m scripts.starter_questions'}"
        )
        return 0 if same else 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(text.encode())
    print(f"{options.out.name}: {text.count(chr(10))} questions, {len(text.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
