"""Make the table of word rarity of the lexical embedder from benchmark questions.

python -m scripts.tfidf_rarity FOLDER    (of *.jsonl.zst files; only questions of the split validation count)
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import zstandard

from smcs.embedders.tfidf import BUCKETS, STEP, TABLE, hashed, words

TARGET = Path(__file__).parent.parent / "src" / "smcs" / "data" / TABLE


def questions(folder: Path) -> Iterator[str]:
    """Texts of the validation questions, file by file."""
    for path in sorted(folder.glob("*.jsonl.zst")):
        with path.open("rb") as file:
            for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
                row = json.loads(line)
                if row["split"] == "validation":
                    yield row["question"]


def rarity(texts: Iterable[str]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Inverse document frequency of each bucket of words, ``log((1 + N) / (1 + n))``, in steps of `STEP`."""
    seen: Counter[int] = Counter()
    total = 0
    for text in texts:
        seen.update({hashed(word) % BUCKETS for word in words(text)})
        total += 1
    counts = np.array([seen[bucket] for bucket in range(BUCKETS)])
    # At least one step, so that a text of words that are everywhere still has a direction.
    return np.maximum(np.rint(np.log((1 + total) / (1 + counts)) / STEP), 1).astype(np.uint8)


def main(folder: str) -> None:
    """Write the table."""
    table = rarity(questions(Path(folder)))
    np.savez_compressed(TARGET, rarity=table)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes, {len(np.unique(table))} values")


if __name__ == "__main__":
    main(*sys.argv[1:])
