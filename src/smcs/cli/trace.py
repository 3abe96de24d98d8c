"""``smcs trace``: what a server kept of its requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smcs.server.trace_file import TraceFile
    from smcs.server.trace_record import Record

_FILE = click.option(
    "--traces-file", type=click.Path(path_type=Path), help="The file of traces. Default: in the user's data folder."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Look at the traces that smcs serve keeps, and delete them."""


@command.command("list")
@click.argument("words", nargs=-1)
@_FILE
@click.option("--source", type=click.Choice(["api", "page", "replay"]), help="Only requests from here.")
@click.option("--status", help="Only these: ok, or an error's kind such as no_answer.")
@click.option("--before", metavar="ID", help="Only what is older than this trace: the next page of a list.")
@click.option("--judged", is_flag=True, help="Only those with feedback.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@_JSON
def list_(
    words: tuple[str, ...],
    traces_file: Path | None,
    source: str | None,
    status: str | None,
    before: str | None,
    judged: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List traces, newest first. All WORDS must stand in the question and the answer (or in id, strategy, status)."""
    from smcs.cli import _trace_show as showing

    file = _open(traces_file)
    found = file.search(" ".join(words), source=source, status=status, before=before, judged=judged, limit=limit)
    file.close()
    showing.show_list(found, as_json=as_json)


@command.command()
@click.argument("trace_id", metavar="ID")
@_FILE
@_JSON
def show(trace_id: str, traces_file: Path | None, as_json: bool) -> None:
    """Show one trace: what was asked, who answered what, how it was scored, what it took."""
    from smcs.cli import _trace_show as showing
    from smcs.server.trace_file import UnknownTraceError

    file = _open(traces_file)
    record = file.get(trace_id)
    file.close()
    if record is None:
        raise UnknownTraceError(f"there is no trace {trace_id!r} in {file.path}")
    showing.show_record(record, as_json=as_json)


@command.command()
@click.argument("trace_ids", metavar="[ID]...", nargs=-1)
@_FILE
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="All that are older than so many days."
)
@click.option("--all", "every", is_flag=True, help="All.")
def delete(trace_ids: tuple[str, ...], traces_file: Path | None, older_than: float | None, every: bool) -> None:
    """Delete traces for good, with the feedback on them and the calls that led to them. A server may be running."""
    import time

    from smcs.server.call_cache import forget

    if sum((bool(trace_ids), older_than is not None, every)) != 1:
        raise click.UsageError("say which traces: their IDs, --older-than DAYS, or --all")
    file = _open(traces_file, write=True)
    before = None if older_than is None else time.time() - older_than * 86_400
    texts = [text for trace_id in trace_ids for text in _texts(file.get(trace_id))] if trace_ids else None
    forget(file.path, texts=texts, older_than=before)
    count = file.delete(ids=trace_ids or None, older_than=before)
    file.close()
    click.echo(f"{file.path}: {count} traces deleted")


def _open(path: Path | None, *, write: bool = False) -> TraceFile:
    from smcs.server.trace_file import TraceFile, default_path

    where = path or default_path()
    file = TraceFile.open(where, write=False)  # looking for traces makes no file
    if not write:
        return file
    file.close()
    return TraceFile.open(where)


def _texts(record: Record | None) -> list[str]:
    """What LLMs answered for this trace."""
    trace = (record or {}).get("trace") or {}
    calls = [*trace.get("referencers", ()), *trace.get("aggregations", ())]
    return [call["text"] for call in calls if call.get("text")]
