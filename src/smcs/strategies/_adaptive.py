"""Adaptive effort of one answer: skipping aggregation where references agree, stopping it where aggregations do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from smcs.config import SMCSSettings
from smcs.core.adaptive import agreement, agreement_possible, waves
from smcs.errors import CallError
from smcs.protocols import Grader
from smcs.strategies._calls import Made
from smcs.strategies._exploit import Scoring
from smcs.strategies._ledger import Ledger
from smcs.strategies._votes import stated_answers
from smcs.types import Aggregation, Completion, Question

_MOST_SHOWN = 40


class Adaptive:
    """Decides, as calls come in, which others are needed.

    Args:
        settings: when to skip and when to stop.
        grader: reads the answers that references state.
        scoring: of the aggregations.
        ledger: where to note what is left out.
        question: what is asked.
    """

    def __init__(
        self,
        settings: SMCSSettings,
        grader: Callable[[str], Grader],
        scoring: Scoring,
        ledger: Ledger,
        question: Question,
    ) -> None:
        self._settings = settings
        self._grader = grader
        self._scoring = scoring
        self._ledger = ledger
        self._question = question

    async def agreed(self, references: Sequence[asyncio.Task[Made]]) -> int | None:
        """The first of the references that agree, as soon as enough of them do; None once they cannot any more.

        Args:
            references: best prior first. One that fails agrees with none.
        """
        needed = self._settings.skip_agreeing
        if not needed or len(references) < 2:
            return None
        stated: dict[int, str | None] = {}
        pending = set(references)
        while pending:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            await self._read(references, stated)
            answers = [answer for answer in stated.values() if answer is not None]
            numbers = {answer: number for number, answer in enumerate(dict.fromkeys(answers))}
            codes = np.array([-1 if answer is None else numbers[answer] for answer in stated.values()])
            missing = len(references) - len(stated)
            found = agreement(codes, missing, needed)
            if found is not None:
                answer = list(numbers)[found]
                count = answers.count(answer)
                shown = answer if len(answer) <= _MOST_SHOWN else f"{answer[: _MOST_SHOWN - 3]}..."
                self._ledger.cut(f"no aggregation: {count} of {len(references)} references state {shown!r}")
                return min(i for i, one in stated.items() if one == answer)
            if not agreement_possible(codes, missing, needed):
                return None
        return None

    async def _read(self, references: Sequence[asyncio.Task[Made]], stated: dict[int, str | None]) -> None:
        """Add what the references state that have come in since."""
        new = {i: task.result().results[0] for i, task in enumerate(references) if task.done() and i not in stated}
        texts = {i: result.text for i, result in new.items() if isinstance(result, Completion)}
        answers = await stated_answers(self._grader, self._question, list(texts.values())) if texts else []
        stated.update(dict.fromkeys(new))
        stated.update(zip(texts, answers, strict=True))

    def waves(self, subsets: Sequence[tuple[str, ...]]) -> list[list[int]]:
        """Which aggregations are asked for together (see `smcs.core.adaptive.waves`)."""
        return waves(subsets) if self._settings.tolerance else [list(range(len(subsets)))]

    async def settled(self, aggregations: Sequence[Aggregation], total: int) -> bool:
        """Whether the aggregations at hand leave the others too little to change."""
        if self._settings.posterior == "perplexity" or not any(a.completion for a in aggregations):
            return False
        try:
            gain = await self._scoring.most_gain(aggregations, total)
        except CallError:
            return False
        if gain > self._settings.tolerance:
            return False
        left = total - len(aggregations)
        self._ledger.cut(
            f"{left} of {total} aggregations: those at hand agree so well that another answer could be better "
            f"by {gain:.3f} at most"
        )
        return True
