"""What a question of a conversation is looked up by."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from smcs.types import Message, Question

_ENOUGH_WORDS = 12
_MOST_TURNS = 3
_LONGEST_TURN = 2000


def with_query(question: Question, history: Sequence[Message]) -> Question:
    """The question with what similar ones are looked up by.

    A question of a conversation is looked up by its own text, as one that begins it is. Where that is short ("And of
    Saturn?"), it hardly says what it is about: then the user's turns before it are put in front of it, the latest ones
    that together have a dozen words, three at most. What the assistant said does not count, since the bank holds
    questions and no answers. A `query` that is there already stays.
    """
    words = len(question.text.split())
    if question.query or words >= _ENOUGH_WORDS:
        return question
    before: list[str] = []
    for turn in reversed(history):
        if words >= _ENOUGH_WORDS or len(before) == _MOST_TURNS:
            break
        if turn.role == "user" and turn.content.strip():
            before.insert(0, turn.content[-_LONGEST_TURN:])
            words += len(turn.content.split())
    return dataclasses.replace(question, query="\n\n".join([*before, question.text])) if before else question
