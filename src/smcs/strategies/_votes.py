"""Votes: the answers that responses state, read by the question's grader.

A vote needs an answer that can be compared. For a question that has a grader, that is what the grader extracts; the
label is kept from it. A question asked live has none: there a response votes if it states a short answer ("The answer
is 42.", a box, a last line of a few words), as the grader ``exact`` reads it. Prose, code and letters do not vote.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smcs.core import voting
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
        totals: summed weight of each answer; the winner first, then the largest.
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
        weights: of each response; where nobody who votes has any, all count the same.
        priority: of each response; ties by order.
    """
    codes: dict[str, int] = {}
    numbers = [-1 if answer is None else codes.setdefault(answer, len(codes)) for answer in answers]
    won = voting.winners(np.array([numbers]), np.array([weights]))[0].tolist()
    if not any(won):
        return Election(None)
    winner = max((i for i, wins in enumerate(won) if wins), key=lambda i: (priority[i], -i))
    totals = dict.fromkeys(codes, 0.0)
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            totals[answer] += weight
    first = answers[winner]
    order = sorted(totals.items(), key=lambda item: (item[0] != first, -item[1]))
    return Election(winner, tuple(order))


def _short(answer: str) -> str:
    line = " ".join(answer.split())
    return line if len(line) <= 40 else line[:37] + "..."
