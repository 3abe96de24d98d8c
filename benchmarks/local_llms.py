"""Speed and memory of the starter pool: loading, generating, several LLMs at once, embedding.

    python benchmarks/local_llms.py load | speed | question | embed | fetch   [--llm NAME] [--set KEY=VALUE ...]

`question` is what one question to the preset ``local`` computes: three references of 256 tokens by three LLMs, then
four aggregations of two references each. Numbers mean something only where nothing else is running.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from smcs.embedders import minilm
from smcs.llms.llama_cpp import LlamaCpp, Settings, create
from smcs.protocols import BuildContext, Progress
from smcs.system import load_pool
from smcs.types import Completion, Message, Request, Sampling
from smcs.weights import cache_dir, fetch

AGGREGATOR = "qwen2.5-coder-1.5b"
QUESTION = "A train leaves at 9:40 and arrives at 13:05, with a stop of 25 minutes. How long does it move?"
INSTRUCTION = "Several language models have answered the question. Judge them and write one improved answer. " * 4
FULL_LENGTH = {"ignore_eos": True}


def pool(overrides: dict[str, Any], only: str | None) -> dict[str, LlamaCpp]:
    return {
        s.name: create(s.model_copy(update=overrides), BuildContext(cache_dir()))
        for s in load_pool().llm
        if isinstance(s, Settings) and only in (None, s.name)
    }


async def generate(
    llm: LlamaCpp, messages: Sequence[Message], tokens: int, *, seed: int = 0, n: int = 1
) -> list[Completion]:
    sampling = Sampling(0.7, max_tokens=tokens, seed=seed, logprobs=True, extra=FULL_LENGTH)
    return list(await llm.complete(Request(tuple(messages), sampling, n), Progress()))


def memory() -> tuple[int, int]:
    """Resident and anonymous memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return int(values["VmRSS"]) // 1024, int(values["RssAnon"]) // 1024


async def load(llms: dict[str, LlamaCpp]) -> None:
    print(f"{'nothing loaded':22} {memory()[0]:6} MB")
    for name, llm in llms.items():
        before, begin = memory()[0], time.perf_counter()
        await llm.start()
        loaded = time.perf_counter() - begin
        await generate(llm, [Message("user", "word " * 300)], 32, n=2)
        print(f"{name:22} {memory()[0] - before:6} MB, loaded in {loaded:.1f} s")
    print(f"{'all':22} {memory()[0]:6} MB")
    for llm in llms.values():
        await llm.aclose()
    print(f"{'all closed':22} {memory()[0]:6} MB")


async def speed(llms: dict[str, LlamaCpp], tokens: int = 64) -> None:
    print("tokens/s at 1, 4 and 8 calls at once; prompt tokens/s")
    for name, llm in llms.items():
        await llm.start()
        await generate(llm, [Message("user", "Hello")], 4)
        rates = []
        for calls in (1, 4, 8):
            begin = time.perf_counter()
            prompts = [[Message("user", f"Tell me story {i}.")] for i in range(calls)]
            await asyncio.gather(*(generate(llm, prompt, tokens, seed=i) for i, prompt in enumerate(prompts)))
            rates.append(calls * tokens / (time.perf_counter() - begin))
        text = [Message("user", " ".join(f"{i} men went to mow." for i in range(100)))]
        begin = time.perf_counter()
        (made,) = await generate(llm, text, 1)
        prefill = made.prompt_tokens / (time.perf_counter() - begin)
        print(f"{name:22}", " ".join(f"{rate:6.1f}" for rate in rates), f"{prefill:8.1f}")
        await llm.aclose()


async def question(llms: dict[str, LlamaCpp]) -> None:
    for llm in llms.values():
        await llm.start()
    lag = asyncio.create_task(longest_pause())
    begin = time.perf_counter()
    referencers = [llm for name, llm in llms.items() if name != AGGREGATOR]
    asked = [Message("user", QUESTION)]
    made = await asyncio.gather(*(generate(llm, asked, 256) for llm in referencers))
    references_in = time.perf_counter()
    subsets = [*combinations([completions[0].text for completions in made], 2)]
    counts = (2, 1, 1)

    async def aggregate(subset: tuple[str, ...], n: int) -> None:
        system = INSTRUCTION + "\n\n".join(f"{i}. {text}" for i, text in enumerate(subset, 1))
        await generate(llms[AGGREGATOR], [Message("system", system), *asked], 320, n=n)

    await asyncio.gather(*(aggregate(subset, n) for subset, n in zip(subsets, counts, strict=True)))
    end = time.perf_counter()
    lag.cancel()
    print(
        json.dumps(
            {
                "references_s": round(references_in - begin, 1),
                "aggregations_s": round(end - references_in, 1),
                "total_s": round(end - begin, 1),
                "memory_mb": memory()[0],
            }
        )
    )
    for llm in llms.values():
        await llm.aclose()


async def longest_pause() -> None:
    """Say how long the event loop was held up at most."""
    longest = 0.0
    try:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before - 0.005)
    finally:
        print(f"event loop held up for {1000 * longest:.0f} ms at most")


async def embed(_: dict[str, LlamaCpp]) -> None:
    embedder = minilm.create(minilm.Settings(backend="minilm"), BuildContext(cache_dir()))
    begin = time.perf_counter()
    await embedder.start()
    print(f"started in {time.perf_counter() - begin:.2f} s")
    for words in (20, 100, 250):
        texts = [f"text {i} " + "some more words " * (words // 3) for i in range(100)]
        begin = time.perf_counter()
        await embedder.embed(texts, "document")
        print(f"{words:4} words: {len(texts) / (time.perf_counter() - begin):6.1f} texts/s, {memory()[0]} MB")
    await embedder.aclose()


async def fetch_all(llms: dict[str, LlamaCpp]) -> None:
    del llms
    files = [s.file for s in load_pool().llm if isinstance(s, Settings)] + [minilm.weights()]
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            begin = time.perf_counter()
            await fetch(file, Path(folder))
            print(f"{file.name:45} {(file.size or 0) / 1e6:7.0f} MB in {time.perf_counter() - begin:5.1f} s")


MEASUREMENTS = {"load": load, "speed": speed, "question": question, "embed": embed, "fetch": fetch_all}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--llm", help="only this one")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, such as threads=1")
    arguments = parser.parse_args()
    overrides = {key: json.loads(value) for key, _, value in (one.partition("=") for one in arguments.set)}
    asyncio.run(MEASUREMENTS[arguments.what](pool(overrides, arguments.llm)))


if __name__ == "__main__":
    main()
