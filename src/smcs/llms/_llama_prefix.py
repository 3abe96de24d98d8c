"""Computing the beginning that several prompts share only once.

llama.cpp keeps the prompt of each parallel sequence, and a new prompt continues from the sequence that begins like it;
but only from an idle one. The aggregation prompts of one question, which begin with the same references, come at the
same time: each would be computed from its first token. So a long prompt is first computed without generating
anything, and then copied to all idle sequences, from which whatever comes next continues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import takewhile
from typing import Any

from smcs.errors import CallError
from smcs.llms import _llama_http
from smcs.llms._llama_engine import Engine

_WORTH_SHARING = 192  # tokens not shared yet: computing them takes far longer than copying them
_LETTERS_A_TOKEN = 6  # no fewer tokens than this is worth counting

_log = logging.getLogger(__name__)


class Prefixes:
    """What the idle sequences of one loaded model begin with."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._shared: list[int] = []

    @asynccontextmanager
    async def starting(self, engine: Engine, messages: Sequence[dict[str, str]]) -> AsyncIterator[None]:
        """Around the time from a call's beginning to its first token.

        Calls with long prompts pass one after another, each leaving its prompt to the next.
        """
        if (
            engine.spec.parallel == 1
            or sum(len(m["content"]) for m in messages) < _WORTH_SHARING * _LETTERS_A_TOKEN / 2
        ):
            yield
            return
        async with self._one_at_a_time:
            try:
                await self._share(engine, await tokens_of(engine, messages))
            except CallError as error:  # the call itself will tell what is wrong, if anything is
                _log.debug("the prompt is not shared: %s", error)
            yield

    async def _share(self, engine: Engine, tokens: list[int]) -> None:
        known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(tokens, self._shared, strict=False)))
        if len(tokens) - known < _WORTH_SHARING or len(tokens) >= engine.spec.context_length:
            return
        idle = await _idle_slots(engine)
        if len(idle) < 2:
            return
        source = await _compute(engine, tokens)
        await _copy(engine, source, [slot for slot in idle if slot != source])
        self._shared = tokens


async def tokens_of(engine: Engine, messages: Sequence[dict[str, str]]) -> list[int]:
    """The tokens of the prompt that the messages make.

    Raises:
        CallError: the chat template does not take these messages.
    """
    prompt = (await _llama_http.post(engine.socket, "/apply-template", {"messages": messages}))["prompt"]
    body = {"content": prompt, "add_special": True, "parse_special": True}
    tokens: list[int] = (await _llama_http.post(engine.socket, "/tokenize", body))["tokens"]
    return tokens


async def _idle_slots(engine: Engine) -> list[int]:
    return [slot["id"] for slot in await _llama_http.get(engine.socket, "/slots") if not slot["is_processing"]]


async def _compute(engine: Engine, tokens: list[int]) -> int:
    """Compute a prompt; returns the sequence that holds it."""
    body = {"prompt": tokens, "n_predict": 0, "cache_prompt": True, "stream": True, "return_progress": True}
    last: dict[str, Any] = {}
    async with aclosing(_llama_http.stream(engine.socket, "/completion", body)) as chunks:
        async for chunk in chunks:
            last = chunk
    return int(last.get("id_slot", -1))


async def _copy(engine: Engine, source: int, targets: Sequence[int]) -> None:
    name = "prompt"
    try:
        await _llama_http.post(engine.socket, f"/slots/{source}?action=save", {"filename": name})
        for slot in targets:
            await _llama_http.post(engine.socket, f"/slots/{slot}?action=restore", {"filename": name})
    finally:
        with suppress(OSError):
            (engine.folder / name).unlink()
