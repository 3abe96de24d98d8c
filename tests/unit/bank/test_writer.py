from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from smcs.bank import BankStore, open_bank, schema, writer
from smcs.bank.records import Answered, Record, Setting
from smcs.bank.writer import BankWriter, write_settings
from smcs.errors import BankError
from smcs.types import Completion, LLMInfo, Sampling


@pytest.fixture
def store(make_bank: Callable[..., Path]) -> Iterator[BankStore]:
    with open_bank(make_bank(6), write=True) as opened:
        opened.register(LLMInfo("a", "b", "c"))
        with opened.transaction() as connection:
            write_settings(connection, [Setting("s", Sampling(), "")])
        yield opened


def answered(number: int, text: str = "text") -> Answered:
    return Answered(bytes([number]) * 32, 1, (number,), "s", Completion("a", text))


def calls(store: BankStore) -> int:
    with store.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(schema.calls)) or 0)


async def test_what_is_acknowledged_is_stored(store: BankStore) -> None:
    acknowledged: list[Record] = []

    def stored(batch: Sequence[Record]) -> None:
        acknowledged.extend(batch)
        assert calls(store) >= len(acknowledged)

    async with BankWriter(store, stored) as writing:
        for number in range(1, 7):
            writing.put(answered(number))
            await asyncio.sleep(0)
        await writing.drained()
        assert len(acknowledged) == 6
    assert calls(store) == 6


async def test_told_to_leave_it_first_stores_what_waits(store: BankStore, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    real = writer.write_records

    def slow(*arguments: Any) -> None:
        go_on.wait(60)
        real(*arguments)

    monkeypatch.setattr(writer, "write_records", slow)

    async def write() -> None:
        async with BankWriter(store) as writing:
            writing.put(answered(1))

    task = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls(store) == 1


async def test_a_record_that_cannot_be_stored_costs_no_other_one(store: BankStore) -> None:
    orphan = Answered(b"x" * 32, 1, (99,), "s", Completion("a", "to a question that does not exist"))
    writing = BankWriter(store)
    async with writing:
        for record in (answered(1), answered(2), orphan):
            writing.put(record)
        with pytest.raises(BankError):
            await writing.raise_failure()
    assert calls(store) == 2
    with pytest.raises(BankError):
        writing.put(answered(3))


async def test_waiting_for_a_record_is_waiting_for_its_commit(store: BankStore) -> None:
    async with BankWriter(store) as writing:
        await writing.write(answered(1))
        assert calls(store) == 1
        await asyncio.gather(*(writing.write(answered(number)) for number in (2, 3, 4)))
        assert calls(store) == 4
        with pytest.raises(BankError):
            await writing.write(Answered(b"x" * 32, 1, (99,), "s", Completion("a", "an orphan")))
