"""What a new LLM backend, embedder, grader or strategy must offer.

A plug-in is one module in the folder of its kind (or an installed package's entry point in the group
``smcs.<kind>``); `smcs.registry` finds it by name. The module-level names each kind needs are stated here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from smcs.config import EmbedderSettings, LLMSettings, Settings
from smcs.errors import CallError
from smcs.types import (
    NO_LIMITS,
    Answer,
    Completion,
    EmbedderInfo,
    Event,
    Grade,
    Limits,
    LLMInfo,
    Message,
    Question,
    Request,
)

FloatArray: TypeAlias = NDArray[np.float32]
Observer: TypeAlias = Callable[[Event], None]
"""Told of events as they happen. Must return at once; never called from another thread than the event loop's."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a backend reports how a call goes on. All are called from the event loop's thread, and return at once.

    Attributes:
        loading: the LLM is being fetched or loaded; called with False when that is over.
        tokens: number of tokens generated so far, over all samples of the request.
        again: asked by the pool before each further request that a call takes, with the error of the one before, or
            None where samples are asked for one by one; where it says False, that request is not made.
    """

    loading: Callable[[bool], None] = lambda _: None
    tokens: Callable[[int], None] = lambda _: None
    again: Callable[[CallError | None], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a plug-in may use to build itself.

    Attributes:
        cache_dir: the user's cache folder.
        observe: told of downloads.
        base_dir: the folder that relative paths in the pool file start from.
    """

    cache_dir: Path
    observe: Observer = lambda _: None
    base_dir: Path = Path()


@runtime_checkable
class LLM(Protocol):
    """One way to reach one LLM. One attempt a call: retries, limits and cost are the pool's.

    A module of ``smcs.llms`` has ``Settings``, a subclass of `smcs.config.LLMSettings`, and
    ``create(settings, context) -> LLM``. Building is cheap and touches no network: what takes time happens in `start`.
    """

    @property
    def info(self) -> LLMInfo:
        """What is known of it."""
        ...

    async def start(self) -> None:
        """Fetch, load or connect; called before the first `complete`, again without effect.

        Raises:
            SmcsError: it cannot be made ready.
        """
        ...

    async def complete(self, request: Request, progress: Progress) -> Sequence[Completion]:
        """Generate ``request.n`` samples (n > 1 only where ``info.multiple_samples``).

        Cancelling the task ends the generation at the endpoint too, where it can.

        Raises:
            CallError: typed by what went wrong.
        """
        ...

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that these messages make: exact where the backend has the tokenizer, else estimated
        on the high side.
        """
        ...

    async def aclose(self) -> None:
        """Free what it holds. Cancels what is running."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors.

    A module of ``smcs.embedders`` has ``Settings``, a subclass of `smcs.config.EmbedderSettings`, and
    ``create(settings, context) -> Embedder``.
    """

    async def start(self) -> EmbedderInfo:
        """Fetch, load or connect; called first, again without effect."""
        ...

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> FloatArray:
        """Embed texts.

        Args:
            texts: any number, none empty.
            kind: whether they are searched for or searched in; chooses the instruction.

        Returns:
            float32 array of shape (n_texts, dimension), each row of length 1.

        Raises:
            CallError: typed by what went wrong.
        """
        ...

    async def aclose(self) -> None:
        """Free what it holds."""
        ...


@runtime_checkable
class Grader(Protocol):
    """Judges a response. Pure: the same response and question give the same grade.

    A module of ``smcs.graders`` has ``create() -> Grader``.
    """

    @property
    def name(self) -> str:
        """What questions call it by."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever a grade could; a stored grade of another version is made anew."""
        ...

    def check(self, question: Question) -> str | None:
        """Why this question cannot be graded (a label that the grader cannot read), or None."""
        ...

    def extract(self, response: str, question: Question) -> str | None:
        """The answer in the response, in normal form, or None where there is none."""
        ...

    def grade(self, response: str, question: Question) -> Grade:
        """Judge the response against the question's label."""
        ...


class Strategy(Protocol):
    """A way to answer a question with a pool.

    A module of ``smcs.strategies`` has ``Settings``, a subclass of `smcs.config.Settings`, and
    ``create(parts, settings) -> Strategy``, where `parts` is a `smcs.strategies.Parts`. Building calls no LLM.
    """

    async def answer(
        self,
        question: Question,
        *,
        seed: int,
        history: Sequence[Message] = (),
        observe: Observer = lambda _: None,
        limits: Limits = NO_LIMITS,
    ) -> Answer:
        """Answer one question.

        Args:
            question: the question; its label, if any, is not looked at.
            seed: source of all randomness of this answer.
            history: earlier turns of the conversation, if any.
            observe: told what happens.
            limits: what the answer may take; what they cut is in the trace.

        Raises:
            NoAnswerError: the pool gave none.
        """
        ...


class LLMModule(Protocol):
    """A module of ``smcs.llms``."""

    Settings: type[LLMSettings]

    def create(self, settings: Any, context: BuildContext) -> LLM:
        """Build the LLM."""
        ...


class EmbedderModule(Protocol):
    """A module of ``smcs.embedders``."""

    Settings: type[EmbedderSettings]

    def create(self, settings: Any, context: BuildContext) -> Embedder:
        """Build the embedder."""
        ...


class GraderModule(Protocol):
    """A module of ``smcs.graders``."""

    def create(self) -> Grader:
        """Build the grader."""
        ...


class StrategyModule(Protocol):
    """A module of ``smcs.strategies``."""

    Settings: type[Settings]

    def create(self, parts: Any, settings: Any) -> Strategy:
        """Build the strategy.

        Raises:
            ConfigError: settings that the pool or the bank cannot meet.
        """
        ...
