"""How a comparison goes on, on standard error: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from smcs.cli._bank_progress import duration, money
from smcs.evaluation.progress import EvaluationProgress, StrategyProgress
from smcs.types import Event, Fetching

_EVERY_S = 10.0


class View:
    """What is known so far. Called with an evaluation's progress; also told of downloads."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._lines = console is not None and not console.is_terminal
        self._progress: EvaluationProgress | None = None
        self._note = ""
        self._next_line = time.monotonic() + _EVERY_S

    def __call__(self, progress: EvaluationProgress) -> None:
        """An evaluation goes on."""
        self._progress = progress
        done = "; ".join(f"{s.label} {s.total - s.left}/{s.total}" for s in progress.strategies)
        self._line(f"{done}; {_calls(progress)}")

    def observe(self, event: Event) -> None:
        """Weights are fetched."""
        if isinstance(event, Fetching):
            total = f" of {event.total / 1e6:.0f}" if event.total else ""
            over = event.total is not None and event.done >= event.total
            self._note = "" if over else f"fetching {event.file}: {event.done / 1e6:.0f}{total} MB"
            self._line(self._note)

    def interrupted(self) -> None:
        """The user has had enough: say what is safe, and how to go on."""
        kept = sum(s.answered for s in self._progress.strategies) if self._progress else 0
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"{kept} answers of this run are stored, and all calls; the same command goes on from here."
        )

    def render(self) -> RenderableType:
        """The live view; called from the refreshing thread, and reads only."""
        progress = self._progress
        note = [Text(self._note, style="dim")] if self._note else []
        if progress is None:
            return Group(*note)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("strategy")
        for column in ("answered", "correct", "failed"):
            table.add_column(column, justify="right")
        for strategy in progress.strategies:
            table.add_row(*_cells(strategy))
        eta = f", {duration(progress.eta_s)} left" if progress.left and progress.eta_s is not None else ""
        return Group(table, Text(_calls(progress) + eta, style="dim"), *note)

    def _line(self, text: str) -> None:
        if self._lines and self._console and text and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _EVERY_S
            self._console.print(Text(text))


@contextmanager
def watching(quiet: bool) -> Iterator[View]:
    """A view on standard error until the block ends."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    if quiet or not console.is_terminal:
        yield View(None if quiet else console)
        return
    view = View(console)
    with Live(get_renderable=view.render, console=console, refresh_per_second=5, transient=True):
        yield view


def _cells(strategy: StrategyProgress) -> list[Text]:
    return [
        Text(strategy.label),
        Text(f"{strategy.total - strategy.left - strategy.failed}/{strategy.total}"),
        Text(f"{strategy.correct / strategy.graded:.0%}" if strategy.graded else ""),
        Text(str(strategy.failed or ""), style="red"),
    ]


def _calls(progress: EvaluationProgress) -> str:
    running = ", ".join(f"{llm} {count}" for llm, count in sorted(progress.running.items()))
    failed = sum(progress.failures.values())
    parts = [
        f"{progress.calls} calls made, {progress.reused} shared",
        f"{failed} failed" if failed else "",
        f"{progress.prompt_tokens + progress.completion_tokens} tokens",
        "" if progress.cost_usd is None else f"{money(progress.cost_usd)} USD",
        f"running: {running}" if running else "",
    ]
    return ", ".join(part for part in parts if part)
