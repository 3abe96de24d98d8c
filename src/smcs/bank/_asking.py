"""The calls to one LLM during an evaluation: within the budget, and only as long as it makes sense."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from smcs.bank.plan import LLMPlan, PlannedCall
from smcs.bank.progress import Tally
from smcs.pool.budget import Budget, Cost, most_tokens, price
from smcs.protocols import Progress
from smcs.types import Completion, Failure, Message, Request

_IN_A_ROW = 20
_ONLY_THIS_QUESTION = frozenset({"context_length"})
_NEVER_BETTER = frozenset({"authentication"})


class Asking:
    """Makes an LLM's planned calls. Several of its `work` run at once, as many as the LLM takes calls.

    Args:
        llm: what to ask it.
        tally: where to count.
        budget: what all LLMs together may spend.
        messages: the conversation that a call puts to it.
        deliver: takes what became of a call.
    """

    def __init__(
        self,
        llm: LLMPlan,
        tally: Tally,
        budget: Budget,
        *,
        messages: Callable[[PlannedCall], tuple[Message, ...]],
        deliver: Callable[[PlannedCall, Completion | Failure], Awaitable[None]],
    ) -> None:
        self._llm = llm
        self._tally = tally
        self._budget = budget
        self._messages = messages
        self._deliver = deliver
        self._calls = enumerate(llm.calls)
        self._failures_in_a_row = 0

    async def work(self) -> None:
        """Make one call after another until none is left or the LLM is stopped."""
        for number, call in self._calls:
            if self._stopped():
                return
            request = Request(self._messages(call), self._llm.sampling)
            worst = self._worst(request)
            if not await self._budget.reserve(worst):
                if not self._stopped():
                    self._tally.stopped = "budget"
                return
            if self._stopped():  # while it waited
                self._budget.settle(worst, Cost())
                return
            result = await self._call(number, request, worst)
            await self._deliver(call, result)
            self._look_at(result)

    def _stopped(self) -> bool:
        return self._tally.stopped != ""

    async def _call(self, number: int, request: Request, worst: Cost) -> Completion | Failure:
        actual = Cost()
        self._tally.begin(number)
        try:
            progress = Progress(loading=self._tally.loading, tokens=lambda tokens: self._tally.tokens(number, tokens))
            (result,) = await self._llm.caller.complete(request, progress)
            if isinstance(result, Completion):
                self._tally.spent(result)
                actual = self._actual(result)
            return result
        finally:
            self._tally.end(number)
            self._budget.settle(worst, actual)

    def _look_at(self, result: Completion | Failure) -> None:
        """Stop asking an LLM that only fails: its endpoint is down, or refuses us."""
        if isinstance(result, Completion):
            self._failures_in_a_row = 0
            return
        if result.kind in _ONLY_THIS_QUESTION or self._stopped():
            return
        self._failures_in_a_row += 1
        most = max(_IN_A_ROW, 2 * self._llm.caller.settings.max_concurrency)
        if result.kind in _NEVER_BETTER or self._failures_in_a_row >= most:
            times = f"{self._failures_in_a_row} calls in a row failed: " if self._failures_in_a_row > 1 else ""
            self._tally.stopped, self._tally.detail = "failing", times + result.message

    def _worst(self, request: Request) -> Cost:
        """What a call can cost at most."""
        return self._cost(most_tokens(request.messages), request.sampling.max_tokens or 0)

    def _actual(self, completion: Completion) -> Cost:
        cost = self._cost(completion.prompt_tokens, completion.completion_tokens)
        return cost if completion.cost_usd is None else Cost(completion.cost_usd, cost.tokens)

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> Cost:
        usd = price(self._llm.caller.info, prompt_tokens, completion_tokens)
        return Cost(usd or 0.0, prompt_tokens + completion_tokens)
