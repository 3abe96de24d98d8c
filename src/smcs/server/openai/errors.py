"""Errors in the OpenAI API's form: ``{"error": {"message", "type", "param", "code"}}`` with the right status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from smcs.errors import (
    CallError,
    CallTimeoutError,
    NoAnswerError,
    OverloadedError,
    SmcsError,
    UsageError,
)

logger = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


@dataclass(frozen=True)
class ApiError(Exception):
    """An error as a client is told of it.

    Attributes:
        status: of HTTP.
        message: for people.
        param: the key of the request that is wrong.
        code: a short name for programs.
    """

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """In the OpenAI API's form."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """As a response."""
        return JSONResponse(self.body(), self.status, dict(self.headers))


def of_smcs(error: SmcsError) -> ApiError:
    """One of our errors as a client is told of it."""
    message = str(error)
    if isinstance(error, OverloadedError):
        return ApiError(429, message, code="queue_full", headers={"Retry-After": str(error.retry_after)})
    if isinstance(error, UsageError):
        return ApiError(400, message, code="invalid_request")
    if isinstance(error, CallTimeoutError):
        return ApiError(504, message, code=error.kind)
    if isinstance(error, CallError):
        return ApiError(502, message, code=error.kind)
    if isinstance(error, NoAnswerError):
        return ApiError(502, message, code="no_answer")
    return ApiError(500, message, code="internal_error")


def install(app: FastAPI) -> None:
    """Let every error of the app leave it in this form."""

    @app.exception_handler(ApiError)
    async def api(_: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(SmcsError)
    async def ours(_: Request, error: SmcsError) -> JSONResponse:
        return of_smcs(error).response()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return ApiError(error.status_code, str(error.detail), headers=error.headers or {}).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return of_validation(error).response()

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return ApiError(500, "the server failed; its log says why", code="internal_error").response()


def of_validation(error: RequestValidationError) -> ApiError:
    """What is wrong with a request's body, by its first problem."""
    first: dict[str, Any] = next(iter(error.errors()), {"msg": "not valid", "loc": ()})
    place = [str(part) for part in first["loc"] if part not in {"body", "query", "path"}]
    param = ".".join(place) or None
    if first.get("type") == "json_invalid":
        return ApiError(400, f"the body is not JSON: {first.get('ctx', {}).get('error', first['msg'])}")
    if first.get("type") == "extra_forbidden":
        return ApiError(400, f"unknown key {param!r}", param, "unknown_parameter")
    message = str(first["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"{param}: {message}" if param else message, param, "invalid_value")
