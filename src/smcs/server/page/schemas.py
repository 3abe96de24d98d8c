"""What the page sends."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_Text = Annotated[str, Field(max_length=1_000_000)]
_Name = Annotated[str, Field(max_length=500)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Turn(_Body):
    """An earlier turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: _Text


class LimitsBody(_Body):
    """What the answer may take; absent is the server's own limit."""

    calls: Annotated[int, Field(ge=1)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    usd: Annotated[float, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None


class AskBody(_Body):
    """A question with its settings.

    Attributes:
        strategy: as on the command line, such as ``moa:layers=2``; None is the server's default.
        settings: overrides of the method's settings.
        overrides: the same as ``key=value``, as on the command line.
    """

    question: Annotated[str, Field(min_length=1, max_length=1_000_000)]
    history: Annotated[list[Turn], Field(max_length=1000)] = []
    strategy: _Name | None = None
    settings: dict[str, Any] = {}
    overrides: Annotated[list[_Name], Field(max_length=100)] = []
    limits: LimitsBody = LimitsBody()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class FeedbackBody(_Body):
    """What somebody thinks of an answer.

    Attributes:
        verdict: ``corrected`` is wrong, with the right answer given.
    """

    trace: _Name
    verdict: Literal["right", "wrong", "corrected"]
    answer: Annotated[str, Field(max_length=100_000)] | None = None
