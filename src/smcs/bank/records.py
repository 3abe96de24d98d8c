"""What an evaluation hands to the store, one value for each thing that happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from smcs.types import Completion, Failure, Grade, Sampling


@dataclass(frozen=True, slots=True)
class Setting:
    """Under what an LLM is asked; stored once for all its calls.

    Attributes:
        digest: from `smcs.bank.keys.settings_digest`.
        system: system prompt of questions that bring none of their own.
    """

    digest: str
    sampling: Sampling
    system: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that was answered, and the questions that it answers: several where they are word for word equal."""

    key: bytes
    llm: int
    questions: tuple[int, ...]
    setting: str
    completion: Completion
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Reused:
    """Questions that a stored call answers: there is nothing to call."""

    key: bytes
    llm: int
    questions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that failed for good."""

    llm: int
    questions: tuple[int, ...]
    failure: Failure


@dataclass(frozen=True, slots=True)
class Graded:
    """A response that was graded, or cannot be."""

    key: bytes
    llm: int
    question: int
    grader: str
    version: str
    grade: Grade


Record: TypeAlias = Answered | Reused | Failed | Graded


def storable(text: str) -> str:
    """A text as a database can hold it: what is no character becomes the replacement character.

    Broken endpoints send halves of surrogate pairs and NULs. Pairs that were only torn apart are put together again.
    """
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def packed_logprobs(completion: Completion) -> bytes | None:
    """Token log-probabilities as little-endian float32."""
    if completion.token_logprobs is None:
        return None
    return np.asarray(completion.token_logprobs, "<f4").tobytes()
