"""The best LLM by the bank, for strategies that rely on one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smcs.bank import QuestionBank
from smcs.core import prior as priors
from smcs.errors import ConfigError
from smcs.pool import Pool
from smcs.registry import did_you_mean
from smcs.strategies._calls import Calls
from smcs.types import Question


class BestLLM:
    """Names the LLM with the best accuracy on a benchmark's part of the bank.

    Args:
        pool: the LLMs.
        bank: the question bank.
        named: the LLM to name whatever the bank says.
        logprobs: only LLMs that may give log-probabilities.

    Raises:
        ConfigError: the pool has no LLM `named`, or none that gives log-probabilities.
    """

    def __init__(self, pool: Pool, bank: QuestionBank, named: str | None = None, *, logprobs: bool = False) -> None:
        if named is not None and named not in pool:
            raise ConfigError(f"the pool has no LLM {named!r}{did_you_mean(named, pool.names)}")
        usable = [named] if named else pool.names
        if logprobs:
            usable = [name for name in usable if pool[name].info.logprobs is not False]
            if not usable:
                which = f"{named!r} gives none" if named else "no LLM of the pool gives any"
                raise ConfigError(f"perplexity needs token log-probabilities, and {which}; name another LLM")
        self._named = named
        self._bank = bank.select(usable)
        self._overall = self._ranked(np.ones(len(self._bank), dtype=bool))

    def on(self, question: Question, calls: Calls) -> tuple[str, float, str]:
        """The LLM for a question, its accuracy, and on which part of the bank, in words.

        The best of those that may be asked (see `Calls.why_not`), unless one is named.
        A benchmark that the bank does not have, such as that of a question asked live, counts as the whole bank.
        """
        of_benchmark = np.array([q.benchmark == question.benchmark for q in self._bank.questions], dtype=bool)
        known = of_benchmark.any() and bool(self._bank.observed[:, of_benchmark].any())
        where = question.benchmark if known else "the whole bank"
        ranked = self._ranked(of_benchmark) if known else self._overall
        name = self._named or self._first(ranked, calls)
        return name, dict(ranked)[name], where

    def overall(self, calls: Calls) -> str:
        """The same over the whole bank."""
        return self._named or self._first(self._overall, calls)

    @staticmethod
    def _first(ranked: Sequence[tuple[str, float]], calls: Calls) -> str:
        names = [name for name, _ in ranked]
        name = next((name for name in names if not calls.why_not(name)), names[0])
        if name != names[0]:
            calls.ledger.cut(f"{name} in place of {names[0]}: {calls.why_not(names[0])}")
        return name

    def _ranked(self, columns: priors.BoolArray) -> list[tuple[str, float]]:
        """LLMs with their accuracy on these questions, best first; ties by whole-bank accuracy, then pool order."""
        bank = self._bank
        here = priors.whole_bank_accuracy(bank.capability[:, columns], bank.observed[:, columns])
        overall = priors.whole_bank_accuracy(bank.capability, bank.observed)
        order = priors.select_referencers(np.nan_to_num(here, nan=-1.0), len(bank.llms), overall)
        return [(bank.llms[i], float(np.nan_to_num(here[i], nan=0.0))) for i in order]
