"""Selection and voting replayed on recorded answers: what each strategy would have answered, and how priors rank.

Everything that is tuned (a prior's settings, how sharply votes favour the strongest) is tuned on the bank's questions,
each estimated from the others; a test question's label is looked at once, to count.

Symbols: R LLMs of the pool, N bank questions, T test questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smcs.bank.recorded import Recorded
from smcs.core.estimation import PRIORS, Prior, best_ranking, estimate, estimate_held_out, main_directions
from smcs.core.estimation import share_strengths as share
from smcs.core.estimators import Equation4, Estimator
from smcs.core.measures import ranked_pairs
from smcs.core.prior import whole_bank_accuracy
from smcs.core.sharpness import local_sharpness, votes_by_sharpness
from smcs.core.voting import effective_wrong_answers, log_odds, oracle, sharpened, top_k, vote_accuracy
from smcs.errors import ConfigError
from smcs.registry import did_you_mean

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RECOMMENDED = "kernel-ridge-shared"
"""The prior that strategies use where none is named."""

STRATEGIES = (
    "single",
    "best-single",
    "router",
    "majority",
    "retrieval-top1",
    "majority-k",
    "log-odds-k",
    "log-odds",
    "weighted-k",
    "weighted",
    "oracle",
)
"""Strategies. ``single`` is every LLM by itself (``single:NAME``); ``-k`` is among the K that the prior selects;
``log-odds`` weighs votes as if LLMs erred independently, ``weighted`` as sharply as does best on the support set."""

BY_PRIOR = ("retrieval-top1", "majority-k", "log-odds-k", "log-odds", "weighted-k", "weighted")
"""Those of them that use a prior."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What strategies and priors did on the test questions.

    Attributes:
        scores: by strategy, array of shape (T,): how right each answer is, between 0 and 1 where a vote ties.
        pairs: by prior, the pairs of each question that it ranks right, and all pairs: two arrays of shape (T,).
        settings: by prior, the settings chosen on the bank.
        best: name of the LLM with the best accuracy on the bank.
    """

    scores: Mapping[str, FloatArray]
    pairs: Mapping[str, tuple[IntArray, IntArray]]
    settings: Mapping[str, Prior]
    best: str


@dataclass(slots=True)
class Arena:
    """A bank and test questions, with everything about them that does not depend on the pool, computed once.

    Attributes:
        bank: the bank's questions and all LLMs' answers.
        test: the test questions, of the same LLMs.
        bank_embeddings: array of shape (N, d), rows of length 1.
        test_embeddings: array of shape (T, d).
    """

    bank: Recorded
    test: Recorded
    bank_embeddings: NDArray[Any]
    test_embeddings: NDArray[Any]
    _estimates: dict[Estimator, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    _support: FloatArray | None = None

    def estimates(self, estimator: Estimator) -> tuple[FloatArray, FloatArray]:
        """Estimated accuracies of all LLMs on the bank's questions (held out), of shape (N, R), and on the test's."""
        if estimator not in self._estimates:
            fitted = estimator.fit(self.bank_embeddings)
            seen = None if self.bank.observed.all() else self.bank.observed
            held_out = estimate_held_out(fitted.held_out(), self.bank.correct, seen)
            on_test = estimate(fitted.weights(self.test_embeddings), self.bank.correct, seen)
            self._estimates[estimator] = held_out, on_test
        return self._estimates[estimator]

    def support(self) -> FloatArray:
        """Weight of each bank question in each test question's support set, array of shape (T, N)."""
        if self._support is None:
            self._support = Equation4().fit(self.bank_embeddings).weights(self.test_embeddings)
        return self._support

    def prior(self, candidates: Sequence[Prior], at: IntArray) -> tuple[Prior, FloatArray, FloatArray]:
        """The settings of a prior that rank the pool best on the bank, with its estimates there and on the test.

        Args:
            candidates: the settings to choose among.
            at: positions of the pool's LLMs.
        """
        correct, observed = self.bank.correct[at], self.bank.observed[at]
        overall = whole_bank_accuracy(correct, observed, fill="mean")
        made = []
        for prior in candidates:
            held_out, on_test = (estimates[:, at] for estimates in self.estimates(prior.estimator))
            if prior.sharing is not None:
                directions = main_directions(held_out, prior.sharing.directions)
                held_out = share(held_out, overall, directions, prior.sharing.own)
                on_test = share(on_test, overall, directions, prior.sharing.own)
            made.append((prior, held_out, on_test))
        return made[best_ranking([held_out for _, held_out, _ in made], correct, observed)] if made[1:] else made[0]


def play(
    arena: Arena,
    llms: Sequence[str],
    k: int,
    *,
    strategies: Sequence[str] = STRATEGIES,
    priors: Sequence[str] = (RECOMMENDED,),
    ranked: Sequence[str] = (),
    tuned: bool = True,
) -> Outcome:
    """Replay strategies on the test questions.

    Args:
        arena: bank and test.
        llms: the pool.
        k: how many LLMs the prior selects; all where the pool is smaller.
        strategies: names from `STRATEGIES`.
        priors: names of the priors to run strategies by. The first one's go by the strategy's name, the others' by
            ``NAME:PRIOR``.
        ranked: further priors whose pairwise ranking is wanted.
        tuned: whether to choose a prior's settings on the bank; else its first ones are used.
    """
    at = np.array([arena.bank.llms.index(name) for name in llms])
    bank_accuracy = whole_bank_accuracy(arena.bank.correct[at], arena.bank.observed[at], fill="mean")
    correct = arena.test.correct[at].T
    scores = _without_prior(arena, at, bank_accuracy, llms, strategies)
    pairs, settings = {}, {}
    for i, name in enumerate(dict.fromkeys([*priors, *ranked])):
        candidates = PRIORS[name] if tuned else PRIORS[name][:1]
        settings[name], held_out, on_test = arena.prior(candidates, at)
        pairs[name] = ranked_pairs(on_test, correct, arena.test.observed[at].T)
        if name in priors:
            wanted = [strategy for strategy in strategies if strategy in BY_PRIOR]
            by_prior = _by_prior(arena, at, k, wanted, (held_out, on_test, bank_accuracy))
            scores |= {strategy if i == 0 else f"{strategy}:{name}": score for strategy, score in by_prior.items()}
    return Outcome(scores, pairs, settings, llms[int(bank_accuracy.argmax())])


def _without_prior(
    arena: Arena, at: IntArray, bank_accuracy: FloatArray, llms: Sequence[str], strategies: Sequence[str]
) -> dict[str, FloatArray]:
    answers, correct = arena.test.answers[at].T, arena.test.correct[at].T.astype(np.float64)
    scores: dict[str, FloatArray] = {}
    if "single" in strategies:
        scores |= {f"single:{name}": correct[:, i] for i, name in enumerate(llms)}
    if "best-single" in strategies:
        scores["best-single"] = correct[:, int(bank_accuracy.argmax())]
    if "router" in strategies:
        scores["router"] = correct[np.arange(len(correct)), _router(arena, at, bank_accuracy)]
    if "majority" in strategies:
        scores["majority"] = vote_accuracy(answers, correct)
    if "oracle" in strategies:
        scores["oracle"] = oracle(correct)
    return scores


def _router(arena: Arena, at: IntArray, bank_accuracy: FloatArray) -> IntArray:
    """The best LLM on the bank's part of each test question's benchmark, or on the whole bank where it has none."""
    best = {}
    for benchmark in arena.test.benchmarks:
        part = arena.bank.of(benchmark=benchmark)
        of_part = whole_bank_accuracy(arena.bank.correct[at][:, part], arena.bank.observed[at][:, part], fill="mean")
        best[benchmark] = int((of_part if part.size else bank_accuracy).argmax())
    return np.array([best[question.benchmark] for question in arena.test.questions])


def _by_prior(
    arena: Arena,
    at: IntArray,
    k: int,
    strategies: Sequence[str],
    prior: tuple[FloatArray, FloatArray, FloatArray],
) -> dict[str, FloatArray]:
    held_out, on_test, bank_accuracy = prior
    answers, correct = arena.test.answers[at].T, arena.test.correct[at].T.astype(np.float64)
    bank_answers, bank_correct = arena.bank.answers[at].T, arena.bank.correct[at].T
    some = min(k, len(at))
    wrong = effective_wrong_answers(bank_answers, bank_correct)
    scores: dict[str, FloatArray] = {}
    for strategy in strategies:
        chosen = len(at) if strategy in {"log-odds", "weighted"} else 1 if strategy == "retrieval-top1" else some
        members = top_k(on_test, chosen, bank_accuracy)
        strengths = log_odds(on_test, wrong)
        if strategy == "retrieval-top1":
            scores[strategy] = (correct * members).sum(axis=1)
        elif strategy == "majority-k":
            scores[strategy] = vote_accuracy(answers, correct, members=members)
        elif strategy.startswith("log-odds"):
            scores[strategy] = vote_accuracy(answers, correct, sharpened(strengths, 1.0), members)
        else:
            bank_members = top_k(held_out, chosen, bank_accuracy)
            on_bank = votes_by_sharpness(log_odds(held_out, wrong), bank_answers, bank_correct, bank_members)
            sharpness = local_sharpness(arena.support(), on_bank)
            votes = votes_by_sharpness(strengths, answers, correct, members)
            scores[strategy] = votes[np.arange(len(votes)), sharpness]
    return scores


def require_known(names: Sequence[str], known: Sequence[str], what: str) -> None:
    """Refuse names that there are not.

    Raises:
        ConfigError: the first unknown one, and which there are.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown {what} {name!r}{did_you_mean(name, list(known))}")
