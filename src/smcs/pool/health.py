"""A circuit breaker for each LLM: one that only fails is left alone for a while, then tried with a small call.

Closed, it is asked like any other. After some calls in a row that failed for good it opens: strategies take the next
best LLM in its place. When it has been open for a while, a small call that no answer waits for tries it. If that works,
it is on trial: asked again, but a single failure opens it at once, for twice as long as before.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

HealthName: TypeAlias = Literal["closed", "open", "trial"]

_LONGEST = 8
"""An LLM stays open for this many times `breaker_s` at most."""
_REMEMBERED = 32
_FEW = 5
_SLOW = 4.0
_LEAST_SLOW_S = 1.0
_SLOW_UNKNOWN_S = 10.0
_ONLY_THIS_REQUEST = frozenset({"context_length", "bad_request", "logprobs_unavailable", "cancelled", "budget"})


@dataclass(frozen=True, slots=True)
class Health:
    """What calls to an LLM have shown lately.

    Attributes:
        state: ``closed`` is well; ``open`` is left alone; ``trial`` is asked again after being open.
        failures: calls in a row that failed for good.
        last_error: what the last of them said; empty where the last call was answered.
        retry_in_s: seconds until it is tried again; None where it is not open.
    """

    state: HealthName
    failures: int
    last_error: str
    retry_in_s: float | None


class Breaker:
    """The circuit breaker of one LLM.

    Args:
        failures: calls in a row that open it; 0 for never.
        seconds: how long it stays open at first.
        clock: seconds that only go on.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._state: HealthName = "closed"
        self._until = 0.0
        self._times = 0
        self._in_a_row = 0
        self._last_error = ""
        self._took: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def health(self) -> Health:
        """Its state."""
        waiting = max(0.0, self._until - self._clock()) if self._state == "open" else None
        return Health(self._state, self._in_a_row, self._last_error, waiting)

    @property
    def is_open(self) -> bool:
        """Whether the LLM is to be left alone."""
        return self._state == "open"

    @property
    def is_due(self) -> bool:
        """Whether it has been left alone for long enough to be tried."""
        return self._state == "open" and self._clock() >= self._until

    def answered(self, seconds: float) -> None:
        """A call was answered, in so many seconds."""
        self._took.append(seconds)
        self._state, self._in_a_row, self._times, self._last_error = "closed", 0, 0, ""

    def failed(self, kind: str, message: str) -> None:
        """A call failed for good."""
        if kind in _ONLY_THIS_REQUEST:
            return
        self._in_a_row += 1
        self._last_error = message
        on_trial = self._state == "trial"
        if self._most and self._state != "open" and (on_trial or self._in_a_row >= self._most):
            self._open()

    def unanswered(self, seconds: float) -> None:
        """A call was given up after so many seconds. It counts as failed where answers mostly take far less."""
        slow = _SLOW_UNKNOWN_S
        if len(self._took) >= _FEW:
            slow = max(_LEAST_SLOW_S, _SLOW * statistics.median(self._took))
        if seconds >= slow:
            self.failed("deadline", f"no answer after {seconds:.1f} s")

    def tried(self, error: str | None) -> None:
        """The small call that tries it was made; what it failed with, if it did."""
        if error is None:
            self._state = "trial"
        else:
            self._last_error = error
            self._open()

    def _open(self) -> None:
        self._until = self._clock() + self._seconds * min(2**self._times, _LONGEST)
        self._times += 1
        self._state = "open"
