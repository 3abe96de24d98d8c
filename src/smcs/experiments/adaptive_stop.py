"""Adaptive effort on a simulated pool: every question is answered in full once, and each rule replayed on the trace.

With the same seed an adaptive answer makes the same calls as the full one, only fewer; so a rule's answer is the winner
among the aggregations that it would have asked for, and can be had for any setting without asking again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smcs.bank import QuestionBank
from smcs.bank.grading import Graders
from smcs.config import method_settings
from smcs.core.adaptive import most_gain, waves
from smcs.core.exploitation import mean_pairwise_similarity, posterior_scores, winner
from smcs.core.measures import paired_difference
from smcs.experiments.figures import Json, number
from smcs.llms.simulated import Settings as Simulated
from smcs.llms.simulated import SimulatedLLM
from smcs.pool import Pool, PooledLLM
from smcs.protocols import Embedder
from smcs.strategies import Parts
from smcs.strategies.smcs import SMCS
from smcs.types import Question, Trace

TOPICS = {"geometry": 0.8, "algebra": 0.55, "chemistry": 0.35, "history": 0.2}
"""Of the questions, with the mean skill at them: from what nearly all LLMs know to what nearly none does."""
BANK_QUESTIONS = 400
TOLERANCES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
SAME = (0.8, 0.9, 0.95)
SHARES = (1.0, 6 / 7, 5 / 7)
MOST_LOST = 0.005
"""A setting is chosen on one half of the questions so that the mean loss there is no more than this."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Full:
    """A question that was answered in full.

    Attributes:
        embeddings: array of shape (n, d) of its aggregations.
        perplexity: array of shape (n,).
        right: which aggregations are right, array of shape (n,).
        share: largest share of the references that state the same answer.
        agreed: whether that answer is right.
        subsets: number of each aggregation's subset.
    """

    embeddings: NDArray[np.float32]
    perplexity: NDArray[np.float64]
    right: NDArray[np.bool_]
    share: float
    agreed: bool
    subsets: tuple[int, ...]
    _gains: dict[tuple[int, float], float] = field(default_factory=dict)

    def won(self, at: Sequence[int]) -> int:
        """The winner among some of the aggregations."""
        perplexity = self.perplexity[list(at)]
        scores = posterior_scores(mean_pairwise_similarity(self.embeddings[list(at)]), perplexity, 1.0)
        return at[winner(scores, perplexity)]

    def needed(self, same: float, tolerance: float) -> list[int]:
        """The aggregations that the rule asks for."""
        asked: list[int] = []
        for wave in waves(self.subsets):
            if asked and self._gain(asked, same) <= tolerance:
                break
            asked = sorted(asked + wave)
        return asked

    def _gain(self, at: Sequence[int], same: float) -> float:
        key = (len(at), same)
        if key not in self._gains:
            perplexity, n = self.perplexity[list(at)], len(self.subsets)
            least = float(perplexity.min())
            embeddings = self.embeddings[list(at)]
            self._gains[key] = most_gain(embeddings, n, perplexity, 1.0, same=same, least_perplexity=least)
        return self._gains[key]


async def answered_in_full(
    embedder: Embedder, questions: int, seed: int, report: Callable[[int, int], None] = lambda done, total: None
) -> list[Full]:
    """Have a simulated pool of fifteen LLMs answer questions by the paper's settings, with a smaller support set."""
    rng = random.Random(seed)
    asked = [_question(i, rng) for i in range(BANK_QUESTIONS + questions)]
    key = {question.text: question.answer or "" for question in asked}
    llms = [
        Simulated(
            name=f"llm-{i}",
            backend="simulated",
            seed=seed,
            answers=key,
            skills={topic: min(0.95, max(0.05, rng.gauss(mean, 0.12))) for topic, mean in TOPICS.items()},
        )
        for i in range(15)
    ]
    info = await embedder.start()
    bank_questions = tuple(asked[:BANK_QUESTIONS])
    graded = [[rng.random() < s.skills[q.benchmark] for q in bank_questions] for s in llms]
    bank = QuestionBank(
        bank_questions,
        await embedder.embed([q.text for q in bank_questions], "document"),
        info,
        tuple(s.name for s in llms),
        np.array(graded, dtype=np.uint8),
        np.ones((len(llms), BANK_QUESTIONS), dtype=bool),
    )
    method = method_settings("paper", {"n_base": 40})
    pool = Pool([PooledLLM(SimulatedLLM(s), s) for s in llms])
    strategy = SMCS(pool, bank, embedder, method)
    parts = Parts(pool, bank, embedder, method, Graders().get)
    places, done = asyncio.Semaphore(_AT_ONCE), 0

    async def one(i: int, question: Question) -> Full:
        nonlocal done
        async with places:
            answer = await strategy.answer(question, seed=i)
            full = await _full(answer.trace, question, parts)
        done += 1
        report(done, questions)
        return full

    return list(await asyncio.gather(*(one(i, q) for i, q in enumerate(asked[BANK_QUESTIONS:]))))


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting of adaptive effort; what is None is switched off.

    Attributes:
        name: ``stop``, ``skip`` or ``both``.
        agreement: cosine from which on two aggregations say the same.
        tolerance: by which a missed winner may be better.
        share: of the references that have to agree for aggregation to be skipped.
    """

    name: str
    agreement: float | None = None
    tolerance: float | None = None
    share: float | None = None

    def asked(self, full: Full) -> tuple[list[int], bool]:
        """Which aggregations it asks for, and whether its answer is right."""
        if self.share is not None and full.share >= self.share - 1e-9:
            return [], full.agreed
        every = list(range(len(full.subsets)))
        if self.agreement is not None and self.tolerance is not None:
            every = full.needed(self.agreement, self.tolerance)
        return every, bool(full.right[full.won(every)])


RULES = (
    *(Rule("stop", same, tolerance) for same in SAME for tolerance in TOLERANCES),
    *(Rule("skip", share=share) for share in SHARES),
    *(Rule("both", 0.9, tolerance, 1.0) for tolerance in TOLERANCES),
)


def stop_study(full: Sequence[Full], seed: int) -> list[Json]:
    """What each rule saves and loses; chosen on the first half of the questions, shown on the second."""
    half = len(full) // 2
    rows: list[Json] = [
        {
            "rule": rule.name,
            "agreement": rule.agreement,
            "tolerance": rule.tolerance,
            "skip_agreeing": None if rule.share is None else number(rule.share),
            "chosen": False,
            "validation": _figures(full[:half], rule, seed),
            "test": _figures(full[half:], rule, seed),
        }
        for rule in RULES
    ]
    for name in ("stop", "skip", "both"):
        allowed = [row for row in rows if row["rule"] == name and row["validation"]["lost"] <= MOST_LOST]
        if allowed:
            max(allowed, key=lambda row: float(row["validation"]["requests_saved"]))["chosen"] = True
    return rows


def _figures(full: Sequence[Full], rule: Rule, seed: int) -> Json:
    every = [Rule("full").asked(one) for one in full]
    asked = [rule.asked(one) for one in full]
    plain, adaptive = (np.array([right for _, right in outcomes]) for outcomes in (every, asked))
    lost = paired_difference(plain, adaptive, np.random.default_rng(seed))
    requests = sum(len({one.subsets[i] for i in at}) for one, (at, _) in zip(full, asked, strict=True))
    return {
        "n": len(full),
        "accuracy_in_full": number(plain.mean()),
        "accuracy": number(adaptive.mean()),
        "lost": number(lost.mean),
        "lost_low": number(lost.low),
        "lost_high": number(lost.high),
        "aggregations_saved": number(1 - sum(len(at) for at, _ in asked) / sum(len(at) for at, _ in every)),
        "requests_saved": number(1 - requests / sum(len(set(one.subsets)) for one in full)),
    }


def _question(i: int, rng: random.Random) -> Question:
    topic = list(TOPICS)[i % len(TOPICS)]
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    text = f"In {topic}, exercise {i}: an experiment gives {a} and then {b}; what is their sum times {i % 7 + 2}?"
    return Question(text, str(i), str((a + b) * (i % 7 + 2)), "numeric", topic)


async def _full(trace: Trace, question: Question, parts: Parts) -> Full:
    grader = parts.grader(question.grader)
    done = [a.completion for a in trace.aggregations if a.completion]
    stated = [grader.extract(r.completion.text, question) for r in trace.referencers if r.completion]
    answers = [answer for answer in stated if answer is not None]
    most = max(dict.fromkeys(answers), key=answers.count, default="")
    numbers = {subset: number for number, subset in enumerate(dict.fromkeys(trace.subsets))}
    return Full(
        embeddings=await parts.embedder.embed([c.text for c in done], "document"),
        perplexity=np.array([a.perplexity for a in trace.aggregations], dtype=np.float64),
        right=np.array([bool(grader.grade(c.text, question).correct) for c in done]),
        share=answers.count(most) / len(trace.referencers),
        agreed=bool(grader.grade(f"The answer is {most}.", question).correct),
        subsets=tuple(numbers[subset] for subset in trace.subsets),
    )
