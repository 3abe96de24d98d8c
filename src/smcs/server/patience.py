"""HTTP that does not wait for ever: a request that does not come in whole within a minute ends its connection.

uvicorn waits without end for the rest of a request. Whoever sends one letter an hour, on many connections, could so
keep all others out.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 by h11, which bounds the length of a request's head, with a bound on its time.

    Attributes:
        longest_s: seconds that a request may take to come in, head and body.
    """

    longest_s: ClassVar[float] = 60.0
    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """A part of a request has come."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away."""
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        cycle = cast("Any", self.cycle)
        whole = cycle is not None and not cycle.response_complete and not cycle.more_body
        if whole:
            self._rest()
        elif self._giving_up is None:
            self._giving_up = self.loop.call_later(self.longest_s, self._give_up)

    def _rest(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        cycle = cast("Any", self.cycle)
        if cycle is None or cycle.response_complete or cycle.more_body:
            self.transport.close()
