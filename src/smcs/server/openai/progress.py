"""What the pool is doing, in lines of text: what a stream sends as reasoning before the answer."""

from __future__ import annotations

from smcs.types import CallUpdate, Event, Fetching, Planned, Retrieved, Scored


def line(event: Event) -> str | None:
    """A line on an event, or None where it is not worth one."""
    match event:
        case Retrieved():
            return f"Looked up {len(event.support)} similar questions." if event.support else None
        case Planned():
            return _planned(event)
        case CallUpdate():
            return _call(event)
        case Scored():
            return f"Chose {event.winner + 1} of {len(event.aggregations)} aggregations."
        case Fetching():
            return None


def _planned(event: Planned) -> str:
    asked = ", ".join(dict.fromkeys(event.referencers))
    if not event.aggregator:
        return f"Asking {asked}."
    return f"Asking {asked}; {event.aggregator} aggregates {len(event.subsets) or 1} times."


def _call(event: CallUpdate) -> str | None:
    what = event.llm if event.stage == "reference" else f"Aggregation {event.index + 1}"
    if event.state == "done":
        return f"{what}: {event.tokens} tokens in {event.seconds:.1f} s."
    return f"{what}: failed." if event.state == "failed" else None
