"""What strategies are built of, and what one answer of theirs is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from smcs.bank import QuestionBank
from smcs.bank.grading import Graders
from smcs.config import SMCSSettings
from smcs.pool import Pool
from smcs.prompts import in_words
from smcs.protocols import Embedder, Grader
from smcs.types import Message, Question


@dataclass(frozen=True, slots=True)
class Parts:
    """What a strategy may be built of.

    Attributes:
        pool: the LLMs.
        bank: the question bank; its LLMs are matched to the pool's by name.
        embedder: the one that made the bank's embeddings.
        method: sampling, prompts, aggregator, and SMCS's own settings.
        grader: a grader by its name, for what it can extract.
    """

    pool: Pool
    bank: QuestionBank
    embedder: Embedder
    method: SMCSSettings
    grader: Callable[[str], Grader] = field(default_factory=lambda: Graders().get)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked: the question, the turns before it, and the seed of all randomness."""

    question: Question
    history: tuple[Message, ...]
    seed: int

    @property
    def for_references(self) -> Turn:
        """What LLMs are asked whose responses will be aggregated: tools in words, nothing wanted of the form.

        The settings that the asker wants of the answer are the aggregation's; so is the choice whether to call a tool.
        """
        question, history = in_words(self.question, self.history)
        return Turn(question, history, self.seed)
