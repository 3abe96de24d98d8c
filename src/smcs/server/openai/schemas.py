"""What the OpenAI routes take: types and bounds of a request's body. Unknown keys are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smcs.config import Settings

Name = Annotated[str, Field(min_length=1, max_length=500)]


class TextMessage(Settings):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=2_000_000)]


class ChatRequest(Settings):
    """A request for a chat completion."""

    model: Name
    messages: Annotated[list[TextMessage], Field(min_length=1, max_length=2000)]
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
