"""A picture of a bank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from smcs.bank import open_bank
from smcs.bank.connect import is_url, shown
from smcs.bank.groups import grouped
from smcs.bank.plot import check_format, heat_map, save
from smcs.errors import BankError
from smcs.registry import did_you_mean


def plot_bank(path: str | Path, out: Path | None, *, by: str, split: str, llms: Sequence[str]) -> None:
    """Draw LLM by benchmark, and say where the picture is."""
    target = out or Path("bank.png" if is_url(path) else f"{Path(path).stem}.png")
    check_format(target)
    with open_bank(path) as store:
        bank = store.load(None if split == "all" else split)
    for name in llms:
        if name not in bank.llms:
            raise BankError(f"the bank {shown(path)} has no LLM {name!r}{did_you_mean(name, list(bank.llms))}")
    if not bank.observed.any():
        what = "has no graded response" if bank.llms else "has no LLM that was evaluated"
        raise BankError(f"the bank {shown(path)} {what}: smcs bank evaluate, or smcs bank grade")
    groups = grouped(bank.select(llms) if llms else bank, by)
    name = shown(path) if is_url(path) else Path(path).name
    many = "1 LLM" if len(groups.llms) == 1 else f"{len(groups.llms)} LLMs"
    title = f"{name}: {len(bank):,} questions, {many}"
    save(heat_map(groups, title), target)
    click.echo(f"{target}: {many}, {len(groups.names)} columns")
