"""Voting on references: which of them is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from smcs.strategies._answering import Story
from smcs.strategies._collect import Collected
from smcs.strategies._parts import Parts
from smcs.strategies._votes import Election, elect, stated_answers
from smcs.types import Question


async def election(
    parts: Parts, question: Question, collected: Collected, weights: Sequence[float]
) -> tuple[Election, list[str | None]]:
    """Have the references vote.

    Args:
        weights: of each reference, those that failed included.

    Returns:
        The election, and what each reference states; a failed one states nothing.
    """
    texts = [r.completion.text if r.completion else "" for r in collected.references]
    stated = await stated_answers(parts.grader, question, texts)
    answers = [a if r.completion else None for a, r in zip(stated, collected.references, strict=True)]
    return elect(answers, weights, [r.prior for r in collected.references]), answers


async def chosen_by_vote(
    story: Story, parts: Parts, question: Question, collected: Collected, weights: Sequence[float]
) -> int:
    """Index of the reference that wins the vote; where none votes, of the first that is there."""
    held, _ = await election(parts, question, collected, weights)
    story.step("vote")
    story.notes.append(held.note())
    if held.winner is not None:
        return held.winner
    first = next(i for i, r in enumerate(collected.references) if r.completion)
    story.notes.append(f"the answer is the response of {collected.references[first].llm}, the best by the bank")
    return first
