"""Server-sent events, as far as the endpoints of LLMs use them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing


async def events(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The data of each event in a stream of bytes; comments and other fields are left out.

    Lines may end in LF, CR LF or CR, and may be split anywhere between chunks. An event's data lines are joined by LF.
    An event that the end of the stream cuts off is given all the same: some endpoints leave out the last blank line.
    """
    data: list[bytes] = []
    async with aclosing(_lines(chunks)) as lines:
        async for line in lines:
            if not line:
                if data:
                    yield b"\n".join(data)
                    data = []
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
    if data:
        yield b"\n".join(data)


async def _lines(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    rest: list[bytes] = []
    async for chunk in chunks:
        # bytes.splitlines splits at LF, CR LF and CR alone. A CR at the very end may be half of a CR LF: keep it back.
        if b"\n" not in chunk and b"\r" not in chunk and not (rest and rest[-1].endswith(b"\r")):
            rest.append(chunk)
            continue
        lines = b"".join((*rest, chunk)).splitlines(keepends=True)
        rest = [lines.pop()] if not lines[-1].endswith(b"\n") else []
        for line in lines:
            yield line.rstrip(b"\r\n")
    if rest:
        yield b"".join(rest).rstrip(b"\r\n")
