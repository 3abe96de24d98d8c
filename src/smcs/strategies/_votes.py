"""Votes: the answers that responses state, read by the question's grader.

A vote needs an answer that can be compared. For a question that has a grader, that is what the grader extracts; the
label is kept from it. A question asked live has none: there a response votes if it states a short answer ("The answer
is 42.", a box, a last line of a few words), as the grader ``exact`` reads it. Prose, code and letters do not vote.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smcs.protocols import Grader
from smcs.types import Question

_MOST_WORDS = 12
"""A statement of more words than this, in response to a question without a grader, is prose and no answer."""


def is_live(question: Question) -> bool:
    """Whether nobody has said how answers to this question are to be read."""
    return not question.id and question.answer is None and question.grader == "exact"


async def stated_answers(grader: Callable[[str], Grader], question: Question, texts: Sequence[str]) -> list[str | None]:
    """The answer that each response states, in normal form; None where it states none.

    Raises:
        UnknownNameError: the question's grader is not installed.
    """
    reader = grader(question.grader)
    unlabelled = dataclasses.replace(question, answer=None)

    def read(text: str) -> str | None:
        answer = reader.extract(text, unlabelled)
        if answer is not None and is_live(question) and len(answer.split()) > _MOST_WORDS:
            return None
        return answer

    # Some graders compute (algebra, for one): not in the event loop's thread.
    return await asyncio.to_thread(lambda: [read(text) for text in texts])


def options_of(question: Question) -> int | None:
    """How many answers a question has to choose from; None where that is open."""
    return len(question.options) if question.options else None


@dataclass(frozen=True, slots=True)
class Election:
    """How a vote ended.

    Attributes:
        winner: index of the response that is the answer: of those that state the winning answer, the first in order of
            priority. None where no response states any.
        totals: summed weight of each answer, largest first.
    """

    winner: int | None
    totals: tuple[tuple[str, float], ...] = ()

    def note(self) -> str:
        """The result in words, for a trace."""
        if self.winner is None:
            return "no response states an answer that could be voted on"
        shown = ", ".join(f"{_short(answer)} {total:.3g}" for answer, total in self.totals[:6])
        more = f" and {len(self.totals) - 6} more" if len(self.totals) > 6 else ""
        return f"votes: {shown}{more}"


def elect(answers: Sequence[str | None], weights: Sequence[float], priority: Sequence[float]) -> Election:
    """The answer with the largest summed weight; ties go to the answer of the response with the highest priority.

    Args:
        answers: what each response states; None where it does not vote.
        weights: of each response.
        priority: of each response; ties by order.
    """
    totals: dict[str, float] = {}
    best: dict[str, int] = {}
    for i, (answer, weight) in enumerate(zip(answers, weights, strict=True)):
        if answer is None:
            continue
        totals[answer] = totals.get(answer, 0.0) + weight
        if answer not in best or priority[i] > priority[best[answer]]:
            best[answer] = i
    if not totals:
        return Election(None)

    def rank(answer: str) -> tuple[float, float, int]:
        # Sums of the same weights in another order may differ in the last bits: that is a tie.
        return (-float(f"{totals[answer]:.12g}"), -priority[best[answer]], best[answer])

    order = sorted(totals, key=rank)
    return Election(best[order[0]], tuple((answer, totals[answer]) for answer in order))


def log_odds_weight(accuracy: float, options: int, *, sharpness: float = 1.0) -> float:
    """Weight of a vote by an LLM of this accuracy: ``log((m - 1) p / (1 - p))``, not below 0.

    With independent LLMs whose wrong answers spread evenly over the other options, the answer with the largest sum of
    these is the likeliest one; for two options that is the weighting of Nitzan and Paroush (1982). An LLM that is no
    better than guessing (p = 1 / m) has no weight.

    Args:
        accuracy: p, in [0, 1]; taken as at least 0.01 and at most 0.99, since no estimate is surer than that.
        options: m, how many answers there are to choose from.
        sharpness: exponent of the weight: above 1 favours the strongest LLMs, 0 makes all with any weight equal.
    """
    p = min(max(accuracy, 0.01), 0.99)
    weight = math.log((max(options, 2) - 1) * p / (1 - p))
    return weight**sharpness if weight > 0 else 0.0


def _short(answer: str) -> str:
    line = " ".join(answer.split())
    return line if len(line) <= 40 else line[:37] + "..."
