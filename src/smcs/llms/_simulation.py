"""How a simulated LLM writes: tokens with log-probabilities, the same for the same seed."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from smcs.types import Message, ToolCall

_PROSE = (
    "first consider what the question asks then look at each part in turn and keep the result because the terms given "
    "fit together so we can work step by step from here it follows that one value remains while others do not hold and "
    "checking this against the statement shows no conflict which means our reasoning stands"
)
_WORDS = _PROSE.split()
_TOKEN = re.compile(r"\s*\S+")
_SURPRISE_RIGHT = 0.2
_SURPRISE_WRONG = 0.5


@dataclass(frozen=True, slots=True)
class Written:
    """What was generated for one sample.

    Attributes:
        reasoning: tokens of the reasoning block.
        answer: tokens of the answer proper.
        logprobs: of all tokens, the reasoning's first; None where they were not asked for.
        cut: whether the token limit cut it off.
        call: of a tool, instead of an answer.
    """

    reasoning: tuple[str, ...]
    answer: tuple[str, ...]
    logprobs: tuple[float, ...] | None
    cut: bool
    call: ToolCall | None = None

    @property
    def tokens(self) -> int:
        """How many were generated."""
        return len(self.reasoning) + len(self.answer)


def write(
    question: str,
    answer: str,
    *,
    right: bool,
    length: int,
    reasoning_length: int,
    limit: int | None,
    logprobs: bool,
    rng: random.Random,
    exactly: str | None = None,
    call: ToolCall | None = None,
) -> Written:
    """Write a response that ends in a line with the answer.

    Texts to the same question with the same answer are alike, as far as their words go, and right ones surprise their
    LLM less than wrong ones: what similarity and perplexity look for is there to be found.

    Args:
        question: chooses the words, with the answer.
        answer: what the last line states.
        right: whether it is right.
        length: tokens before the last line, on average.
        reasoning_length: tokens of the reasoning block.
        limit: most tokens in all.
        logprobs: whether to give log-probabilities.
        rng: of this sample.
        exactly: the whole text instead.
        call: of a tool, which the response is instead.
    """
    alike = random.Random(seed_of(question, answer))
    count = rng.randint(int(0.7 * length), int(1.3 * length)) if length else 0
    words = alike.choices(_WORDS, k=count)
    for position in range(count):
        if rng.random() < 0.2:
            words[position] = rng.choice(_WORDS)
    shown = f"({answer})" if len(answer) == 1 and answer.isalpha() else answer
    thought = tokens_of(" ".join(rng.choices(_WORDS, k=reasoning_length)))
    body = tokens_of(f"{' '.join(words)}\n\nThe answer is {shown}." if words else f"The answer is {shown}.")
    if exactly is not None or call is not None:
        body = tokens_of(exactly or str(call))
    cut = limit is not None and len(thought) + len(body) > limit
    if limit is not None and cut:
        thought, body = thought[:limit], body[: max(0, limit - len(thought))]
    if not logprobs:
        return Written(thought, body, None, cut, call)
    rate = 1 / (_SURPRISE_RIGHT if right else _SURPRISE_WRONG)
    return Written(thought, body, tuple(-rng.expovariate(rate) for _ in range(len(thought) + len(body))), cut, call)


def tokens_of(text: str) -> tuple[str, ...]:
    """The tokens of a text: words, each with the white space before it."""
    return tuple(_TOKEN.findall(text))


def count_prompt_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a prompt: its words and four a message."""
    return sum(len(m.content.split()) + 4 + sum(len(str(call).split()) for call in m.tool_calls) for m in messages)


def seed_of(*parts: object) -> int:
    """A seed from any values: the same values, the same seed, in every process."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())
