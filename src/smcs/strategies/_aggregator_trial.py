"""Which LLM makes the most of other LLMs' responses: Symbolic-MoE's benchmark of aggregators.

For some questions of the bank, one response of an LLM that the bank says is right and two of LLMs that it says are
wrong are shown to each LLM; the one that most often comes to the right answer aggregates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from smcs.bank import QuestionBank
from smcs.core import prior as priors
from smcs.strategies._aggregate import Aggregating
from smcs.strategies._calls import Calls
from smcs.strategies._collect import Ask, collect
from smcs.strategies._parts import Parts, Turn
from smcs.transport.tasks import all_of
from smcs.types import Question

_WRONG = 2


async def best_aggregator(parts: Parts, calls: Calls, n_questions: int) -> tuple[str, dict[str, float]]:
    """Try all LLMs as aggregators.

    Args:
        n_questions: on so many questions of the bank.

    Returns:
        The best one, ties by whole-bank accuracy and pool order, and each LLM's share of right aggregations; an LLM
        none of whose aggregations could be graded is not in it.
    """
    bank = parts.bank.select(parts.pool.names)
    trials = _trials(bank, n_questions)
    graded = await all_of(_trial(parts, calls, bank, column, asks) for column, asks in trials)
    shares: dict[str, float] = {}
    for name in bank.llms:
        grades = [one[name] for one in graded if one.get(name) is not None]
        if grades:
            shares[name] = sum(bool(grade) for grade in grades) / len(grades)
    overall = priors.whole_bank_accuracy(bank.capability, bank.observed, fill="mean")
    best = max(range(len(bank.llms)), key=lambda i: (shares.get(bank.llms[i], -1.0), overall[i], -i))
    return bank.llms[best], shares


def _trials(bank: QuestionBank, n_questions: int) -> list[tuple[int, list[str]]]:
    """Questions on which some LLM is right and others are wrong, with the LLMs whose responses are to be shown."""
    rng = np.random.default_rng(0)
    trials: list[tuple[int, list[str]]] = []
    for column in rng.permutation(len(bank)):
        seen, right = bank.observed[:, column], bank.capability[:, column] == 1
        able, unable = np.flatnonzero(seen & right), np.flatnonzero(seen & ~right)
        if able.size and unable.size:
            wrong = rng.choice(unable, min(_WRONG, unable.size), replace=False)
            shown = rng.permutation([rng.choice(able), *wrong])
            trials.append((int(column), [bank.llms[i] for i in shown]))
        if len(trials) == n_questions:
            break
    return trials


async def _trial(
    parts: Parts, calls: Calls, bank: QuestionBank, column: int, shown: Sequence[str]
) -> dict[str, bool | None]:
    """Whether each LLM comes to the right answer; None where its call failed or cannot be graded."""
    question = bank.questions[column]
    turn = Turn(question, (), seed=0)
    collected = await collect(calls, turn, parts.method, [Ask(name) for name in shown])
    aggregating = Aggregating(calls, turn, parts.method, logprobs=False)
    done = await all_of(aggregating.aggregate(name, tuple(shown), collected.present) for name in bank.llms)
    texts = {a.completion.llm: a.completion.text for (a,), _ in done if a.completion}
    return await asyncio.to_thread(_graded, parts, question, texts)


def _graded(parts: Parts, question: Question, texts: dict[str, str]) -> dict[str, bool | None]:
    grader = parts.grader(question.grader)
    return {name: grader.grade(text, question).correct for name, text in texts.items()}
