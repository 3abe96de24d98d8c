"""Real LLMs on llama.cpp in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smcs.errors import WeightsError
from smcs.llms import _llama_http
from smcs.llms._llama_engine import Engine
from smcs.llms._llama_host import host
from smcs.llms.llama_cpp import LlamaCpp, Settings, create
from smcs.protocols import BuildContext, Progress
from smcs.types import Completion, Message, Request, Sampling
from smcs.weights import cache_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.weights

SMALL = "smollm2-135m"
ASK = (Message("system", "You are a helpful assistant."), Message("user", "Why is the sky blue?"))
REFERENCES = " ".join(f"Claim {i}: light of wavelength {400 + i} nm is scattered by the air." for i in range(30))


@pytest.fixture
def small(weights_of: Callable[[str], Path]) -> Path:
    """The weights of a small LLM."""
    return weights_of(SMALL)


@asynccontextmanager
async def opened(path: Path, **values: Any) -> AsyncIterator[LlamaCpp]:
    settings = {"name": "small", "backend": "llama-cpp", "context_length": 2048, "parallel": 2} | values
    llm = create(Settings.model_validate({"path": path} | settings), BuildContext(cache_dir()))
    try:
        await llm.start()
        yield llm
    finally:
        await llm.aclose()


async def complete(llm: LlamaCpp, messages: tuple[Message, ...] = ASK, n: int = 1, **sampling: Any) -> list[Completion]:
    values = {"max_tokens": 12, "temperature": 0.7, "seed": 1, "logprobs": True} | sampling
    return list(await llm.complete(Request(messages, Sampling(**values), n), Progress()))


async def test_logprobs_are_the_llms_own_whatever_the_sampling(small: Path) -> None:
    async with opened(small) as llm:
        made = [(await complete(llm, temperature=t, top_k=1))[0] for t in (0.1, 0.7, 2.0)]
    assert len({c.text for c in made}) == 1  # the likeliest token each time
    first = made[0].token_logprobs
    assert first is not None
    assert min(first) < -0.3  # after top_k = 1 each would be certain
    for other in made[1:]:
        assert other.token_logprobs == pytest.approx(first, abs=1e-3)


async def test_a_seed_repeats_and_another_does_not(small: Path) -> None:
    async with opened(small) as llm:
        texts = [(await complete(llm, seed=seed, temperature=1.2))[0].text for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("name", [SMALL, "gemma-3-270m"])
async def test_the_prompt_is_counted_to_the_token(
    name: str, weights_of: Callable[[str], Path], starter_settings: Callable[[str], Settings]
) -> None:
    path = weights_of(name)
    messages = (*ASK, Message("assistant", "Air scatters <light>. 🦊"), Message("user", "And at <|im_end|> dusk?\n"))
    async with opened(path, chat_template=starter_settings(name).chat_template) as llm:
        (made,) = await complete(llm, messages)
        assert await llm.count_tokens(messages) == made.prompt_tokens


async def test_a_cancelled_call_stops_computing(small: Path) -> None:
    async with opened(small) as llm:
        started = asyncio.Event()
        endless = Request(ASK, Sampling(max_tokens=1900, extra={"ignore_eos": True}), n=2)
        task = asyncio.create_task(llm.complete(endless, Progress(tokens=lambda _: started.set())))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert llm._spec is not None
        async with asyncio.timeout(60), host().lease(llm._spec, 1 << 40) as engine:
            while any(slot["is_processing"] for slot in await _llama_http.get(engine.socket, "/slots")):
                await asyncio.sleep(0.01)


async def test_equal_settings_share_one_loaded_model(small: Path) -> None:
    async with opened(small, name="one") as one, opened(small, name="two", sampling={"temperature": 0.1}) as two:
        assert len(host()._entries) == 1
        await asyncio.gather(complete(one), complete(two))
    assert not host()._entries


async def test_an_idle_model_makes_room_and_comes_back(small: Path) -> None:
    async with opened(small, memory_gib=0.6) as one, opened(small, context_length=1024, memory_gib=0.6) as two:
        loading: list[bool] = []
        await one.complete(Request(ASK, Sampling(max_tokens=2)), Progress(loading=loading.append))
        assert loading == [True, False]
        assert (await complete(two))[0].text


async def test_prompts_with_the_same_beginning_give_what_they_give_alone(small: Path) -> None:
    prompts = [(Message("system", REFERENCES), Message("user", question)) for question in ("Why?", "How?", "When?")]
    async with opened(small, parallel=1) as alone:
        expected = [(await complete(alone, prompt, temperature=0))[0] for prompt in prompts]
    async with opened(small, parallel=4) as llm:
        together = await asyncio.gather(*(complete(llm, prompt, temperature=0) for prompt in prompts))
        assert llm._spec is not None
        async with host().lease(llm._spec, 1 << 40) as engine:
            usage = await asyncio.gather(*(_usage(engine, question) for question in ("Who?", "Where?", "Whose?")))
    for (made,), one in zip(together, expected, strict=True):
        assert made.token_logprobs is not None
        assert one.token_logprobs is not None
        assert made.token_logprobs[0] == pytest.approx(one.token_logprobs[0], abs=0.3)  # other batches round otherwise
    # Whichever sequence takes a new question: the beginning is there already.
    for one_usage in usage:
        assert one_usage["prompt_tokens_details"]["cached_tokens"] > 0.9 * one_usage["prompt_tokens"]


async def _usage(engine: Engine, question: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": REFERENCES}, {"role": "user", "content": question}]
    body = {"messages": messages, "max_tokens": 1, "stream": True, "stream_options": {"include_usage": True}}
    async with aclosing(_llama_http.stream(engine.socket, "/v1/chat/completions", body)) as chunks:
        (usage,) = [chunk["usage"] async for chunk in chunks if chunk.get("usage")]
    return dict(usage)


async def test_characters_of_several_tokens_come_out_whole(small: Path) -> None:
    ask = (Message("user", "Repeat exactly: 你好世界 🦊🌲"),)
    async with opened(small) as llm:
        (made,) = await complete(llm, ask, temperature=0, max_tokens=40)
    assert "\ufffd" not in made.text.rstrip("\ufffd")
    assert made.token_logprobs is not None
    assert len(made.token_logprobs) <= made.completion_tokens


async def test_half_a_file_is_refused(small: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.gguf"
    with small.open("rb") as whole:
        half.write_bytes(whole.read(small.stat().st_size // 2))
    with pytest.raises(WeightsError, match="is damaged"):
        async with opened(half):
            pass


async def test_llama_cpp_says_nothing_on_the_terminal(small: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with opened(small) as llm:
        await complete(llm)
        with pytest.raises(Exception, match="context"):
            await complete(llm, (Message("user", "word " * 5000),))
    assert capfd.readouterr() == ("", "")


async def test_it_is_freed_and_loaded_again_in_another_event_loop(small: Path) -> None:
    def twice() -> list[str]:
        llm = create(Settings(name="s", backend="llama-cpp", path=small, parallel=1), BuildContext(cache_dir()))
        texts = [asyncio.run(complete(llm))[0].text for _ in range(2)]
        asyncio.run(llm.aclose())
        return texts

    first, second = await asyncio.to_thread(twice)
    assert first == second


_PROGRAM = """
import asyncio, pathlib, sys
from smcs.llms.llama_cpp import Settings, create
from smcs.protocols import BuildContext, Progress
from smcs.types import Message, Request, Sampling
from smcs.weights import cache_dir

async def main():
    llm = create(Settings(name="s", backend="llama-cpp", path=sys.argv[1]), BuildContext(cache_dir()))
    if sys.argv[2] == "loading":
        print("ready", flush=True)
    await llm.start()
    endless = Request((Message("user", "Go on."),), Sampling(max_tokens=4000, extra={"ignore_eos": True}), n=4)
    await llm.complete(endless, Progress(tokens=lambda _: print("ready", flush=True)))

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("moment", ["loading", "generating"])
def test_ctrl_c_ends_the_process(small: Path, moment: str) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(small), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
