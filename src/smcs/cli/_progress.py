"""What the pool is doing, on standard error: a live table on a terminal, one line per step elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from smcs.protocols import Observer
from smcs.types import CallUpdate, Event, Fetching, Planned, Retrieved, Scored

_STYLES = {"done": "green", "failed": "bold red", "running": "cyan", "loading": "yellow"}


@contextmanager
def watching(quiet: bool) -> Iterator[Observer]:
    """An observer that shows events on standard error until the block ends."""
    if quiet:
        yield lambda _: None
        return
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield _Lines(console).observe
        return
    view = _Table()
    with Live(get_renderable=view.render, console=console, refresh_per_second=8, transient=True):
        yield view.observe


@dataclass
class _Row:
    label: str
    state: str = "waiting"
    tokens: int = 0
    seconds: float = 0.0
    since: float = field(default_factory=time.monotonic)
    message: str = ""

    def update(self, event: CallUpdate) -> None:
        self.state, self.seconds, self.message = event.state, event.seconds, event.message
        self.tokens = max(self.tokens, event.tokens)
        self.since = time.monotonic() - event.seconds

    def cells(self) -> tuple[RenderableType, ...]:
        over = self.state in ("done", "failed", "cancelled")
        seconds = self.seconds if over else time.monotonic() - self.since
        return (
            Text(f"  {self.label}"),
            Text(self.state, style=_STYLES.get(self.state, "dim")),
            Text(f"{self.tokens} tokens" if self.tokens else "", justify="right"),
            Text(f"{seconds:.1f} s" if over or self.state != "waiting" else "", justify="right"),
            Text(self.message, style="red", overflow="ellipsis", no_wrap=True),
        )


class _Table:
    """The live view; `render` is called from the refreshing thread, and reads only."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._fetching: Fetching | None = None
        self._retrieved = ""
        self._rows: dict[str, list[_Row]] = {"reference": [], "aggregation": []}
        self._aggregator = ""

    def observe(self, event: Event) -> None:
        match event:
            case Fetching():
                self._fetching = event if event.total is None or event.done < event.total else None
            case Retrieved():
                self._retrieved = summary_of_support(event)
            case Planned():
                self._aggregator = event.aggregator
                self._rows["reference"] = [_Row(name) for name in event.referencers]
                self._rows["aggregation"] = [
                    _Row(f"{i}  {subset_label(subset, event.referencers)}") for i, subset in enumerate(event.subsets, 1)
                ]
            case CallUpdate():
                self._rows[event.stage][event.index].update(event)
            case Scored():
                pass

    def render(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        for _ in range(4):
            grid.add_column()
        grid.add_column(ratio=1)
        elapsed = time.monotonic() - self._begin
        retrieved = self._retrieved or ("" if self._rows["reference"] else "...")
        grid.add_row(Text("retrieve", style="bold"), Text(retrieved, style="dim"), "", f"{elapsed:.1f} s")
        for stage, title in (("reference", "references"), ("aggregation", f"aggregations by {self._aggregator}")):
            if self._rows[stage]:
                grid.add_row(Text(title, style="bold"))
                for row in self._rows[stage]:
                    grid.add_row(*row.cells())
        return Group(grid, *self._download())

    def _download(self) -> list[RenderableType]:
        fetching = self._fetching
        if fetching is None:
            return []
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=fetching.total, completed=fetching.done, width=30, pulse=fetching.total is None)
        line.add_row(f"fetching {fetching.file}", bar, megabytes(fetching), f"from {fetching.source}")
        return [line]


class _Lines:
    """The same for a log file or a pipe: a line when something begins or ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._aggregations: tuple[str, ...] = ()
        self._fetched: dict[str, int] = {}

    def observe(self, event: Event) -> None:
        match event:
            case Fetching():
                self._fetch(event)
            case Retrieved():
                self._say(f"retrieve: {summary_of_support(event)}, {event.seconds:.2f} s")
            case Planned():
                self._aggregations = tuple(subset_label(s, event.referencers) for s in event.subsets)
                self._say(f"referencers, best prior first: {', '.join(event.referencers)}")
                if event.subsets:
                    self._say(f"aggregator: {event.aggregator}, {len(event.subsets)} aggregations")
            case CallUpdate() if event.state in ("done", "failed", "cancelled"):
                self._call(event)
            case _:
                pass

    def _call(self, event: CallUpdate) -> None:
        what = f"reference of {event.llm}"
        if event.stage == "aggregation":
            what = f"aggregation {event.index + 1} ({self._aggregations[event.index]})"
        details = f": {event.message}" if event.message else f", {event.tokens} tokens"
        self._say(f"{what} {event.state}{details}, {event.seconds:.1f} s")

    def _fetch(self, event: Fetching) -> None:
        tenth = 10 * event.done // event.total if event.total else 0
        if self._fetched.get(event.file) != tenth:
            self._fetched[event.file] = tenth
            self._say(f"fetching {event.file} from {event.source}: {megabytes(event)}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False)


def summary_of_support(event: Retrieved) -> str:
    """Size of the support set and the benchmarks it is of, most frequent first."""
    counts = Counter(item.benchmark for item in event.support).most_common(4)
    parts = ", ".join(f"{name} {n}" for name, n in counts)
    return f"{len(event.support)} similar questions ({parts})"


def subset_label(subset: tuple[str, ...], referencers: tuple[str, ...]) -> str:
    """A subset by the positions of its references, and what it leaves out."""
    dropped = [name for name in referencers if name not in subset]
    kept = " ".join(str(referencers.index(name) + 1) for name in subset)
    return f"references {kept}" + (f", without {', '.join(dropped)}" if dropped else "")


def megabytes(event: Fetching) -> str:
    """How much of a file is there."""
    total = f" of {event.total / 1e6:.0f}" if event.total else ""
    return f"{event.done / 1e6:.0f}{total} MB"
