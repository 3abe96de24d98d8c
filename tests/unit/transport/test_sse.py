"""Event streams, however the network cuts them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smcs.transport.sse import events

STREAM = (
    b': a comment\n\ndata: {"a": 1}\n\nevent: x\nid: 3\ndata:no space\r\n\r\n'
    b"data: two\rdata:  lines\r\rdata: \xc3\xa9\n\nretry: 5\n\ndata: last"
)
EXPECTED = [b'{"a": 1}', b"no space", b"two\n lines", b"\xc3\xa9", b"last"]


def read(chunks: Sequence[bytes]) -> list[bytes]:
    async def source() -> AsyncGenerator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[bytes]:
        return [event async for event in events(source())]

    return asyncio.run(collect())


def test_whole() -> None:
    assert read([STREAM]) == EXPECTED


def test_byte_by_byte() -> None:
    assert read([STREAM[i : i + 1] for i in range(len(STREAM))]) == EXPECTED


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cut_anywhere(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]
    assert read([STREAM[a:b] for a, b in pairwise(bounds)]) == EXPECTED


@pytest.mark.parametrize("stream", [b"", b"\n\n\n", b": only comments\n\n", b"data\n\n"])
def test_without_data_there_is_no_event(stream: bytes) -> None:
    assert read([stream]) == []
