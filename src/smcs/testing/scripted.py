"""An LLM whose every outcome a test decides.

::

    llm = ScriptedLLM()
    llm.script = [ServerError("down"), [Completion("x", "second try")]]
    pooled = PooledLLM(llm, LLMSettings(name="mine", backend="scripted"))
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from smcs.errors import SmcsError
from smcs.protocols import Progress
from smcs.types import Completion, LLMInfo, Message, Request


class ScriptedLLM:
    """An LLM that follows a script. See `smcs.protocols.LLM` for its methods.

    Args:
        logprobs: whether it gives log-probabilities; None is "only a call can tell".
        samples: whether it gives several samples in one request.
        info: other fields of its `LLMInfo`.

    Attributes:
        script: outcomes of the next calls: completions, or an exception to raise. Afterwards every sample gets a
            completion that says which it is.
        start_errors: what the next calls of `start` raise.
        requests: what it was asked.
        free: clear it to hold all calls back.
        running: calls under way.
        most_running: most of them at once.
        cancelled: calls that were cancelled.
        starts: calls of `start`.
        closed: whether it was closed.
    """

    def __init__(self, *, logprobs: bool | None = True, samples: bool = True, **info: Any) -> None:
        self.info = LLMInfo("scripted", "scripted", "script", logprobs, samples, **info)
        self.script: list[Exception | Sequence[Completion]] = []
        self.start_errors: list[SmcsError] = []
        self.requests: list[Request] = []
        self.free = asyncio.Event()
        self.free.set()
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self.starts = 0
        self.closed = False

    async def start(self) -> None:
        """Count the call, and fail if told to."""
        self.starts += 1
        await self.free.wait()
        if self.start_errors:
            raise self.start_errors.pop(0)

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """Give the script's next outcome."""
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        outcome = self.script.pop(0) if self.script else None
        try:
            await asyncio.sleep(0)
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if isinstance(outcome, Exception):
            raise outcome
        progress.tokens(3 * request.n)
        return outcome if outcome is not None else [sample_of(request, i) for i in range(request.n)]

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """A token a character."""
        return sum(len(m.content) for m in messages)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def sample_of(request: Request, position: int = 0, **changes: Any) -> Completion:
    """The completion that a scripted LLM gives where its script says nothing: three tokens, "sample <index>"."""
    values: dict[str, Any] = {
        "text": f"sample {request.sample_index + position}",
        "token_logprobs": (-0.1, -0.2, -0.3) if request.sampling.logprobs else None,
        "prompt_tokens": 0 if position else 10,
        "completion_tokens": 3,
    }
    return Completion("scripted", **(values | changes))
