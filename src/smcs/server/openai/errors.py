"""Errors in the OpenAI API's form: ``{"error": {"message", "type", "param", "code"}}`` with the right status."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from smcs.errors import (
    BudgetError,
    CallError,
    DeadlineError,
    NoAnswerError,
    OverloadedError,
    SmcsError,
    UnsupportedError,
    UsageError,
)
from smcs.server.trace_file import UnknownTraceError
from smcs.types import Trace

logger = logging.getLogger(__name__)

_LONGEST = 4000
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


@dataclass(eq=False)
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
        param = None if self.param is None else _clean(self.param)
        return {"error": {"message": _clean(self.message), "type": kind, "param": param, "code": self.code}}

    def response(self) -> JSONResponse:
        """As a response."""
        return JSONResponse(self.body(), self.status, dict(self.headers))


def _clean(text: str) -> str:
    """Without lone surrogates, which a request can hold and UTF-8 cannot; not longer than a page."""
    return text.encode("utf-8", "replace").decode()[:_LONGEST]


GONE = ApiError(499, "the client hung up", code="client_gone")
"""Nobody reads it; it is what a log shows."""
UNEXPECTED = ApiError(500, "the server failed; its log says why", code="internal_error")


_KEY = re.compile(r"[a-z][a-z0-9_]*")


def of_smcs(error: SmcsError) -> ApiError:
    """One of our errors as a client is told of it."""
    message = str(error)
    match error:
        case OverloadedError():
            told = ApiError(429, message, code="queue_full", headers={"Retry-After": str(error.retry_after)})
        case UnknownTraceError():
            told = ApiError(404, message, code="unknown_trace")
        case UsageError():
            told = ApiError(400, message, code="invalid_request")
        case UnsupportedError():
            told = ApiError(400, message, error.feature, code=error.kind)
        case CallError():
            told = _of_kinds({error.kind}, message) or ApiError(502, message, code=error.kind)
        case DeadlineError():
            told = ApiError(504, message, code="deadline")
        case BudgetError():
            told = ApiError(400, message, code="budget_too_small")
        case NoAnswerError():
            kinds = _kinds(error.trace)
            told = (_of_kinds(kinds, message) if kinds else None) or ApiError(502, message, code="no_answer")
        case _:
            told = ApiError(500, message, code="internal_error")
    return told


def _kinds(trace: Trace | None) -> set[str]:
    """The kinds of all failures that led to no answer."""
    if trace is None:
        return set()
    failures = [part.failure for part in trace.referencers] + [part.failure for part in trace.aggregations]
    return {failure.kind for failure in failures if failure} - {"no_references", "cancelled"}


def _of_kinds(kinds: set[str], message: str) -> ApiError | None:
    """The status where all failures are alike; None where they are not."""
    if kinds <= {"bad_request", "context_length"}:
        return ApiError(400, message, code=min(kinds))
    if all(kind.startswith("unsupported_") for kind in kinds):
        kind = min(kinds)
        return ApiError(400, message, kind.removeprefix("unsupported_"), kind)
    if kinds <= {"call_timeout"}:
        return ApiError(504, message, code="timeout")
    later = {"Retry-After": "5"}
    return ApiError(503, message, code="rate_limit", headers=later) if kinds <= {"rate_limit"} else None


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


def of_validation(error: RequestValidationError) -> ApiError:
    """What is wrong with a request's body, by its most telling problem."""
    problems: list[dict[str, Any]] = list(error.errors()) or [{"msg": "not valid", "loc": ()}]
    told = max(problems, key=lambda problem: (problem.get("type") == "value_error", len(problem["loc"])))
    param = _param(told["loc"])
    if told.get("type") == "json_invalid":
        return ApiError(400, f"the body is not JSON: {told.get('ctx', {}).get('error', told['msg'])}")
    if told.get("type") == "extra_forbidden":
        return ApiError(400, f"unknown key {param!r}", param, "unknown_parameter")
    message = str(told["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"{param}: {message}" if param else message, param, "invalid_value")


def _param(location: Sequence[str | int]) -> str | None:
    """The key by its place in the body, without the names of types that stand in it."""
    place = [
        str(part)
        for before, part in pairwise(location)
        if isinstance(part, int)
        or (_KEY.fullmatch(part) and part != "str" and not isinstance(before, int) and before != "response_format")
    ]
    return ".".join(place) or None
