"""The page's stream of events: nothing that matters is lost, updates in between are, and closing it cancels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smcs.server.page.events import Mailbox, sent, streamed
from smcs.types import CallState, CallUpdate

STATES: list[CallState] = ["waiting", "loading", "running", "done", "failed"]


def update(index: int, state: CallState, tokens: int) -> CallUpdate:
    return CallUpdate("reference", index, "ada", state, tokens)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(STATES), st.integers(0, 9), st.booleans())))
def test_each_calls_states_arrive_in_order_with_their_last_tokens(
    happened: list[tuple[int, CallState, int, bool]],
) -> None:
    mailbox, received = Mailbox(), list[Mapping[str, Any]]()
    for index, state, tokens, emptied in happened:
        mailbox.put(update(index, state, tokens))
        if emptied:
            received += mailbox.take()
    received += mailbox.take()
    for call in range(3):
        there = [(e["state"], e["tokens"]) for e in received if e["index"] == call]
        told = [(state, tokens) for index, state, tokens, _ in happened if index == call]
        assert _runs(there) == _runs(told)


def _runs(states: list[tuple[CallState, int]]) -> list[tuple[CallState, int]]:
    """The last of each run of equal states; only "running" is taken together."""
    kept: list[tuple[CallState, int]] = []
    for state, tokens in states:
        if kept and state == "running" and kept[-1][0] == state:
            kept.pop()
        kept.append((state, tokens))
    return kept


async def test_the_end_comes_last_and_holds_only_what_json_can_say() -> None:
    async def answering(mailbox: Mailbox) -> dict[str, Any]:
        mailbox.put(update(0, "running", 1))
        await asyncio.sleep(0)
        mailbox.put(update(0, "done", 2))
        return {"event": "answer", "score": float("nan"), "text": "a\n\ndata: b"}

    data = b"".join([part async for part in streamed(answering)]).decode()
    events = [json.loads(block[6:]) for block in data.split("\n\n") if block.startswith("data: ")]
    assert [event["event"] for event in events][-2:] == ["call", "answer"]
    assert events[-1] == {"event": "answer", "score": None, "text": "a\n\ndata: b"}


async def test_closing_the_stream_cancels_the_answer() -> None:
    ended = asyncio.Event()

    async def answering(_: Mailbox) -> dict[str, Any]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    stream = streamed(answering)
    await anext(stream)
    await asyncio.sleep(0)
    await stream.aclose()
    assert ended.is_set()


def test_what_is_sent_is_one_block() -> None:
    assert sent({"event": "answer", "text": "two\nlines\r\n\r\n"}).count(b"\n") == 2
