"""What calling an LLM costs on our side of the wire.

    python benchmarks/client_throughput.py [--calls 4000] [--concurrency 64]

Measures the pool's own work in a call (against an LLM that answers at once), and calls a second and CPU time a call
against the simulated endpoint in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from smcs.config import LLMSettings
from smcs.llms import openai, simulated
from smcs.pool import PooledLLM
from smcs.protocols import BuildContext, Progress
from smcs.testing.running import endpoint_process
from smcs.types import Completion, LLMInfo, Message, Request, Sampling

CONTEXT = BuildContext(cache_dir=Path())
PROMPT = "A train leaves at nine and arrives at noon, 240 km further on. How fast does it go on average? " * 3


class Instant:
    """An LLM that answers at once, so that what remains is the pool's."""

    info = LLMInfo("instant", "instant", "instant", True, True)
    answer = (Completion("instant", "yes", prompt_tokens=10, completion_tokens=1, token_logprobs=(-0.1,)),)

    async def start(self) -> None: ...

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        return self.answer

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return 10

    async def aclose(self) -> None: ...


def request(number: int, *, logprobs: bool = False) -> Request:
    return Request(
        (Message("user", f"{number}. {PROMPT}"),),
        Sampling(temperature=0.7, max_tokens=512, seed=number, logprobs=logprobs),
    )


async def one_by_one(complete: Callable[[Request], Awaitable[object]], calls: int) -> float:
    """Microseconds of CPU time a call, one after the other."""
    requests = [request(i) for i in range(calls)]
    await complete(requests[0])
    begin = time.process_time()
    for item in requests:
        await complete(item)
    return (time.process_time() - begin) / calls * 1e6


async def together(llm: PooledLLM, calls: int, concurrency: int, *, logprobs: bool) -> tuple[float, float]:
    """Calls a second, and CPU milliseconds of this process a call."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            (result,) = await llm.complete(request(number, logprobs=logprobs))
            assert isinstance(result, Completion), result

    await llm.complete(request(-1))
    begin, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return calls / (time.perf_counter() - begin), (time.process_time() - cpu) / calls * 1e3


async def server_cpu(base_url: str) -> float:
    """CPU seconds that the endpoint's process has used."""
    url = base_url.removesuffix("/v1") + "/stats"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return float((await response.json())["cpu_seconds"])


async def main(calls: int, concurrency: int) -> None:
    instant = PooledLLM(Instant(), LLMSettings(name="instant", backend="instant"))
    settings = simulated.Settings(name="small", backend="simulated")
    backend = simulated.create(settings, CONTEXT)
    pooled = PooledLLM(backend, settings)
    print("CPU us a call, one after the other")
    print(f"  pool, LLM that answers at once  {await one_by_one(instant.complete, 20_000):6.1f}")
    print(f"  simulated LLM                   {await one_by_one(lambda r: backend.complete(r, Progress()), 3000):6.1f}")
    print(f"  pool, simulated LLM             {await one_by_one(pooled.complete, 3000):6.1f}")
    print(f"HTTP, {concurrency} at once          calls/s  client CPU ms  endpoint CPU ms")
    with endpoint_process("--llm", "small:0.7") as base_url:
        for stream, logprobs in ((False, False), (False, True), (True, False)):
            remote = openai.Settings(
                name="small",
                backend="openai",
                model="small",
                base_url=base_url,
                stream=stream,
                max_concurrency=concurrency,
            )
            llm = PooledLLM(openai.create(remote, CONTEXT), remote)
            before = await server_cpu(base_url)
            rate, cpu = await together(llm, calls, concurrency, logprobs=logprobs)
            server = (await server_cpu(base_url) - before) / calls * 1e3
            await llm.aclose()
            kind = ("stream" if stream else "whole") + (", logprobs" if logprobs else "")
            print(f"  {kind:24} {rate:7.0f}  {cpu:13.2f}  {server:15.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.calls, arguments.concurrency))
