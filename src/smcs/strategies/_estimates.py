"""Estimated accuracies by another estimator than Equation 4, and votes as sharp as does best on the bank.

Both are fitted to the bank once, when the first question needs them, outside the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.bank import QuestionBank
from smcs.core.estimation import PRIORS, BankPrior
from smcs.core.prior import FloatArray
from smcs.core.sharpness import SHARPNESS, local_sharpness, votes_by_sharpness
from smcs.core.voting import log_odds, top_k
from smcs.errors import ConfigError

_MOST_QUESTIONS = 12_000
"""Fitting compares every question of the bank with every other: more would take gigabytes and minutes."""
_MOST_TO_TUNE = 4_000
_WRONG_ANSWERS = 3
"""Wrong answers seem to spread over 2.6 (MMLU-Pro), 3.0 (GSM8K) and 5.9 (CRUXEval): `effective_wrong_answers`."""


class BankEstimates:
    """An estimator's view of a bank.

    Args:
        bank: the bank, its rows in the pool's order.
        estimator: a name from `smcs.core.estimation.PRIORS`.

    Raises:
        ConfigError: the bank is too large for it.
    """

    def __init__(self, bank: QuestionBank, estimator: str) -> None:
        if len(bank) > _MOST_QUESTIONS:
            raise ConfigError(
                f"estimator = {estimator!r} takes banks of up to {_MOST_QUESTIONS} questions, and this one has "
                f"{len(bank)}; set estimator to 'equation4' (and sharpness to a number)"
            )
        self._bank = bank
        # The first settings are the ones to use untuned.
        self._candidates = PRIORS[estimator][: 1 if len(bank) > _MOST_TO_TUNE else None]
        self._fitted: BankPrior | None = None
        self._lock = asyncio.Lock()

    async def fitted(self) -> BankPrior:
        """The estimator at work, fitted on the first call."""
        async with self._lock:
            if self._fitted is None:
                bank = self._bank
                self._fitted = await asyncio.to_thread(
                    BankPrior, self._candidates, bank.embeddings, bank.capability, bank.observed
                )
            return self._fitted

    async def accuracy(self, embedding: NDArray[Any]) -> FloatArray:
        """Each LLM's estimated accuracy on a question, array of shape (R,), for an embedding of shape (d,)."""
        fitted = await self.fitted()
        return np.asarray(np.clip(fitted.estimate(embedding[None])[0], 0.0, 1.0))


class BankVotes:
    """How right votes of each sharpness are on the bank's own questions.

    The bank's arrays know who is right and not what the others say: wrong answers are drawn, from a fixed seed, from as
    many as recorded LLMs' wrong answers spread over, or as the question has.

    Args:
        bank: the bank, its rows in the pool's order.
        estimates: accuracies of its LLMs.
        voters: how many LLMs with the largest estimates vote.
        open_options: how many answers a question without options is taken to have.
    """

    def __init__(self, bank: QuestionBank, estimates: BankEstimates, voters: int, open_options: int) -> None:
        self._bank, self._estimates, self._voters = bank, estimates, voters
        options = [len(q.options) if q.options else open_options for q in bank.questions]
        self._wrong_answers = np.maximum(np.array(options, np.float64) - 1, 1)[:, None]
        self._votes: FloatArray | None = None
        self._lock = asyncio.Lock()

    async def sharpness(self, support: NDArray[Any], similarity: NDArray[Any]) -> float:
        """The sharpness that does best on a question's support set.

        Args:
            support: positions of the support set in the bank, array of shape (N_sup,).
            similarity: of these, array of shape (N_sup,).
        """
        held_out = (await self._estimates.fitted()).held_out
        async with self._lock:
            if self._votes is None:
                self._votes = await asyncio.to_thread(self._on_bank, held_out)
        weights = np.zeros((1, len(self._bank)))
        weights[0, support] = similarity
        return SHARPNESS[int(local_sharpness(weights, self._votes)[0])]

    def _on_bank(self, held_out: FloatArray) -> FloatArray:
        correct = self._bank.capability.T.astype(bool)
        wrong = np.random.default_rng(0).integers(1, 1 + np.minimum(self._wrong_answers, _WRONG_ANSWERS), correct.shape)
        answers = np.where(self._bank.observed.T, np.where(correct, 0, wrong), -1)
        members = top_k(held_out, self._voters)
        return votes_by_sharpness(log_odds(held_out, self._wrong_answers), answers, correct, members)
