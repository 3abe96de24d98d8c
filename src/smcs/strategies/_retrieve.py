"""Retrieval: what the bank says of each LLM on questions like the one that is asked [Equations 2-4]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smcs.bank import QuestionBank
from smcs.config import SMCSSettings
from smcs.core import prior as priors
from smcs.errors import QuestionError
from smcs.pool import Pool
from smcs.protocols import Embedder
from smcs.strategies._calls import LEAST_ANSWER_TOKENS, Calls, fits, prompt_tokens
from smcs.strategies._collect import messages_to
from smcs.strategies._estimates import BankEstimates
from smcs.strategies._parts import Parts, Turn
from smcs.types import Question, SupportItem


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What retrieval gives for one question. Arrays and names are in the pool's order.

    Attributes:
        support: the support set, most similar first.
        prior: array of shape (R,).
        accuracy: each LLM's estimated accuracy on such questions, array of shape (R,) in [0, 1].
        fallbacks: LLMs whose prior is not from the support set, with what stood in for it.
        positions: of the support set in the bank, as `support`.
    """

    names: tuple[str, ...]
    support: tuple[SupportItem, ...]
    prior: priors.FloatArray
    accuracy: priors.FloatArray
    fallbacks: dict[str, str]
    positions: priors.IntArray

    @property
    def by_name(self) -> dict[str, float]:
        """Prior of each LLM."""
        return {name: float(value) for name, value in zip(self.names, self.prior, strict=True)}


class Retriever:
    """Looks questions up in the bank.

    Args:
        pool: the LLMs.
        bank: the question bank.
        embedder: the one that made the bank's embeddings.
        settings: n_base, gamma and the estimator.

    Raises:
        ConfigError: the bank is too large for the estimator.
    """

    def __init__(self, pool: Pool, bank: QuestionBank, embedder: Embedder, settings: SMCSSettings) -> None:
        self.bank = bank.select(pool.names)
        self.accuracy = priors.whole_bank_accuracy(self.bank.capability, self.bank.observed)
        """Of each LLM over the whole bank, array of shape (R,); nan where nothing is observed."""
        questions = self.bank.questions
        texts = ([q.id for q in questions], [q.benchmark for q in questions], [q.text for q in questions])
        self._columns = [np.array(column, dtype=object) for column in texts]
        self._embedder = embedder
        self._settings = settings
        self.estimates = None if settings.estimator == "equation4" else BankEstimates(self.bank, settings.estimator)
        """What estimates accuracies; None where Equation 4 does."""

    @classmethod
    def of(cls, parts: Parts) -> Retriever:
        """One for a strategy's parts."""
        return cls(parts.pool, parts.bank, parts.embedder, parts.method)

    async def retrieve(self, question: Question) -> Retrieval:
        """Similar questions of the bank, and each LLM's prior by them [Equations 2-4], or by another estimator.

        Raises:
            CallError: the question could not be embedded.
        """
        bank = self.bank
        embedding = (await self._embedder.embed([question.query or question.text], "query"))[0]
        similarity = priors.cosine_similarity(bank.embeddings, embedding, normalised=True)
        support = priors.support_set(similarity, self._settings.n_base, self._settings.gamma)
        nearest = support[np.argsort(-similarity[support], kind="stable")]
        if self.estimates is None:
            prior = priors.prior_scores(bank.capability, similarity, support, bank.observed)
            total = float(similarity[support].sum())
            accuracy = prior / total if total > 0 else self.whole_bank
            stand_ins = priors.prior_fallbacks(similarity, support, bank.observed)
            fallbacks = {name: f for name, f in zip(bank.llms, stand_ins, strict=True) if f}
        else:
            prior = accuracy = await self.estimates.accuracy(embedding)
            fallbacks = self._unknown()
        items = self._support(nearest, similarity[nearest])
        return Retrieval(bank.llms, items, prior, accuracy, fallbacks, nearest)

    @property
    def whole_bank(self) -> priors.FloatArray:
        """Accuracy over the whole bank, the mean of the others' where nothing is observed; array of shape (R,)."""
        return priors.whole_bank_accuracy(self.bank.capability, self.bank.observed, fill="mean")

    def overall(self) -> Retrieval:
        """The same without looking at the question: the accuracy over the whole bank is the prior."""
        nothing = np.empty(0, np.intp)
        return Retrieval(self.bank.llms, (), self.whole_bank, self.whole_bank, self._unknown(), nothing)

    def ranking(self, prior: priors.FloatArray) -> list[str]:
        """All LLMs by prior, best first; ties by whole-bank accuracy, then by the pool's order."""
        order = priors.select_referencers(prior, len(self.bank.llms), self.accuracy)
        return [self.bank.llms[i] for i in order]

    def _unknown(self) -> dict[str, str]:
        """LLMs of which the bank knows nothing."""
        return {n: "pool mean" for n, a in zip(self.bank.llms, self.accuracy, strict=True) if np.isnan(a)}

    def _support(self, positions: priors.IntArray, similarity: priors.FloatArray) -> tuple[SupportItem, ...]:
        ids, benchmarks, texts = (column[positions].tolist() for column in self._columns)
        return tuple(map(SupportItem._make, zip(ids, benchmarks, similarity.tolist(), texts, strict=True)))


async def available(
    calls: Calls, ranking: Sequence[str], k: int, turn: Turn, settings: SMCSSettings
) -> tuple[list[str], list[str]]:
    """The first k LLMs of a ranking whose context holds the question, and notes on those passed over.

    LLMs that are not to be asked (see `Calls.why_not`) are passed over, too, as a cut, unless that leaves none.

    Raises:
        QuestionError: it fits none.
    """
    selected: list[str] = []
    notes: list[str] = []
    cuts: list[str] = []
    longest, tokens = 0, None
    every = all(calls.why_not(name) for name in ranking)
    for name in ranking:
        if len(selected) == k:
            break
        llm = calls.pool[name]
        why = None if every else calls.why_not(name)
        if why:
            cuts.append(why)
            continue
        tokens = await prompt_tokens(llm, messages_to(turn, settings))
        if fits(llm, tokens):
            selected.append(name)
        else:
            longest = max(longest, llm.info.context_length or 0)
            notes.append(
                f"{llm.name} is passed over: the question takes {tokens} of its "
                f"{llm.info.context_length} tokens of context"
            )
    for cut in cuts:
        calls.ledger.cut(cut)
    if not selected:
        raise QuestionError(
            f"the question is too long for every LLM of the pool: about {tokens} tokens, where the longest "
            f"context is {longest} and an answer needs {LEAST_ANSWER_TOKENS}; shorten it, or add an LLM with a "
            f"longer context"
        )
    return selected, notes
