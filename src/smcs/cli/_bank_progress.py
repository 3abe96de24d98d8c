"""How an evaluation or an embedding goes on, on standard error: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from smcs.bank.progress import EvaluationProgress, LLMProgress
from smcs.types import Event, Fetching

_EVERY_S = 10.0


class View:
    """What is known so far. Called with an evaluation's progress; also told of downloads and of embedding."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._lines = console is not None and not console.is_terminal
        self._progress: EvaluationProgress | None = None
        self._note = ""
        self._next_line = time.monotonic() + _EVERY_S

    def __call__(self, progress: EvaluationProgress) -> None:
        """An evaluation goes on."""
        self._progress = progress
        if progress.llms or progress.ungraded:
            at_work = [llm for llm in progress.llms if llm.left and not llm.stopped]
            self._line("; ".join([_summary_of(progress), *map(_line_of, at_work), *_ungraded(progress)]))

    def observe(self, event: Event) -> None:
        """Weights are fetched."""
        if isinstance(event, Fetching):
            total = f" of {event.total / 1e6:.0f}" if event.total else ""
            over = event.total is not None and event.done >= event.total
            self._note = "" if over else f"fetching {event.file}: {event.done / 1e6:.0f}{total} MB"
            self._line(self._note)

    def embedded(self, done: int, total: int) -> None:
        """Questions are embedded."""
        self._note = f"embedding questions: {done} of {total}" if done < total else ""
        self._line(self._note)

    def interrupted(self) -> None:
        """The user has had enough: say what is safe, and how to go on."""
        kept = self._progress.answered if self._progress else 0
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"{kept} answers of this run are stored; the same command goes on from here."
        )

    def render(self) -> RenderableType:
        """The live view; called from the refreshing thread, and reads only."""
        progress = self._progress
        note = [Text(self._note, style="dim")] if self._note else []
        if progress is None:
            return Group(*note)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("LLM")
        for column in ("answered", "rate", "left", "tokens", "USD", "correct", "failed"):
            table.add_column(column, justify="right")
        table.add_column("")
        for llm in progress.llms:
            table.add_row(*_cells(llm))
        return Group(table, *note, *(Text(text, style="dim") for text in _ungraded(progress)))

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


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def rate(per_second: float | None) -> str:
    """Questions a second, or a minute where they are few."""
    if per_second is None:
        return ""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{60 * per_second:.1f}/min"


def money(usd: float | None) -> str:
    """An amount, or that it is not known."""
    return "unknown" if usd is None else f"{usd:.4f}" if usd < 1 else f"{usd:.2f}"


def _cells(llm: LLMProgress) -> list[Text]:
    there = llm.answered_before + llm.reused + llm.answered
    eta = llm.eta_s
    return [
        Text(llm.name),
        Text(f"{there}/{llm.total}"),
        Text(rate(llm.rate)),
        Text("" if eta is None or not llm.left else duration(eta)),
        Text(f"{llm.completion_tokens}"),
        Text(money(llm.cost_usd)),
        Text(f"{llm.correct / llm.graded:.0%}" if llm.graded else ""),
        Text(str(llm.failures or ""), style="red"),
        Text(_state(llm), style="yellow" if llm.stopped else "dim", overflow="ellipsis", no_wrap=True),
    ]


def _state(llm: LLMProgress) -> str:
    if llm.stopped:
        return "stopped: the budget is used up" if llm.stopped == "budget" else f"stopped: {llm.detail}"
    if llm.loading:
        return "loading"
    return f"{llm.running} running" if llm.running else ""


def _summary_of(progress: EvaluationProgress) -> str:
    there = sum(llm.answered_before + llm.reused + llm.answered for llm in progress.llms)
    left = "" if not progress.eta_s else f", {duration(progress.eta_s)} left"
    return f"{there} of {sum(llm.total for llm in progress.llms)} answered{left}"


def _line_of(llm: LLMProgress) -> str:
    there = llm.answered_before + llm.reused + llm.answered
    parts = [f"{llm.name} {there}/{llm.total}", rate(llm.rate)]
    if llm.failures:
        parts.append(f"{llm.failures} failed")
    if llm.left and llm.eta_s is not None:
        parts.append(f"{duration(llm.eta_s)} left")
    parts.append(_state(llm))
    return ", ".join(part for part in parts if part)


def _ungraded(progress: EvaluationProgress) -> list[str]:
    return [f"{progress.ungraded} responses wait for their grade"] if progress.ungraded else []
