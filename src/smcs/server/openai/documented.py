"""What the OpenAPI document says of errors: every operation may refuse, and does so in one form."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every response that is not a success, in the OpenAI API's form."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request is refused; `param` and `code` say why."},
    "5XX": {"model": ErrorBody, "description": "The pool gave no answer, or the server is stopping."},
}
