"""What can go wrong at an endpoint, one call at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal[
    "status",
    "reset",
    "reset_in_body",
    "hang",
    "hang_in_body",
    "slow_headers",
    "broken_json",
    "html",
    "error_in_body",
    "no_choices",
    "empty_text",
    "null_content",
    "fewer_choices",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One call's fault.

    Attributes:
        kind: ``status`` refuses with an HTTP status; ``reset`` closes the connection at once, ``reset_in_body`` in the
            midst of the body; ``hang`` never sends headers, ``hang_in_body`` never ends the body; ``slow_headers``
            answers after `seconds`; ``broken_json`` and ``html`` are bodies that cannot be read; ``error_in_body`` is
            an error under status 200 (streamed, in the midst of the stream); ``no_choices``, ``empty_text``,
            ``null_content`` and ``fewer_choices`` (one instead of n) are completions that lack something.
        status: HTTP status, or the code of an ``error_in_body``.
        message: what the error says.
        code: its ``code``.
        retry_after: value of the ``Retry-After`` header, as it is sent.
        seconds: of ``slow_headers``.
    """

    kind: FaultKind
    status: int = 500
    message: str = "simulated fault"
    code: str | None = None
    retry_after: str | None = None
    seconds: float = 0.0
