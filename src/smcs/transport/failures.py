"""What went wrong at an endpoint, as one of our typed errors."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from smcs.errors import (
    AuthenticationError,
    BadRequestError,
    CallError,
    CallTimeoutError,
    ContextLengthError,
    RateLimitError,
    ServerError,
)

_LONGEST_DETAIL = 400
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_exceeded"})
_CONTEXT_WORDS = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:model|context|input|prompt|sequence) length|max_model_len"
    r"|(?:prompt|input|request)(?: \([^)]*\))? is (?:too long|longer than)|too many (?:input )?tokens"
    r"|input length .* exceeds|reduce the length of the (?:messages|prompt|input)|`inputs` tokens \+"
    r"|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
# What a server says of an address that it does not have, in contrast to a model that it does not have.
_NO_SUCH_PAGE = re.compile(r"\s*(?:40[45]:?\s*)?(?:(?:page |method )?not (?:found|allowed))?\W*", re.IGNORECASE)
# What some endpoints put in place of a number in the body of an error.
_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "overloaded": 503,
    "overloaded_error": 503,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "not_found_error": 404,
    "model_not_found": 404,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "timeout": 408,
}
_OUT_OF_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"})


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a response's ``Retry-After`` asks to wait: a number, or an HTTP date; None where it does not say.

    Args:
        headers: case-insensitive.
        now: seconds since the epoch; by default the current time.
    """
    milliseconds = _seconds(headers.get("Retry-After-Ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("Retry-After")
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def error_of_response(
    status: int, body: str, *, where: str, redact: Callable[[str], str], retry_after: float | None = None
) -> CallError:
    """The typed error of an HTTP response that is not a success.

    Args:
        status: HTTP status.
        body: as received, perhaps JSON.
        where: scheme, host and port, for the message.
        redact: takes secrets out of a text.
        retry_after: seconds the endpoint asks to wait.
    """
    try:
        payload: Any = json.loads(body)
    except ValueError:
        payload = None if body.lstrip().startswith("<") else body  # a proxy's HTML page says nothing in 400 letters
    return _typed(status, payload, f"{where} answered HTTP {status}", redact, retry_after)


def error_in_body(payload: Any, *, where: str, redact: Callable[[str], str]) -> CallError | None:
    """The typed error that a body holds in spite of a successful status, or None.

    OpenRouter does this for whatever fails once generation has begun, and servers do it in the midst of a stream.
    """
    if not isinstance(payload, dict) or not payload.get("error"):
        return None
    codes = _codes(payload)
    status = next((int(c) for c in codes if c.isdigit() and 400 <= int(c) < 600), None)
    if status is None:
        status = next((_STATUS_OF_CODE[c] for c in codes if c in _STATUS_OF_CODE), 500)
    return _typed(status, payload, f"{where} answered with an error", redact, None)


def _typed(status: int, payload: Any, what: str, redact: Callable[[str], str], retry_after: float | None) -> CallError:
    detail = redact(_detail(payload))
    kind = _kind(status, _codes(payload), detail, retry_after)
    parts = [what]
    if detail:
        parts.append(f": {shorten(detail)}")
    parts.append(_hint(status, kind, detail))
    return kind("".join(parts), status=status, retry_after=retry_after)


def _kind(status: int, codes: set[str], detail: str, retry_after: float | None) -> type[CallError]:
    if status == 429 and codes & _OUT_OF_CREDIT:
        return BadRequestError  # waiting does not fill an account
    if codes & _CONTEXT_CODES or (status in {400, 413, 422, 500} and _CONTEXT_WORDS.search(detail)):
        return ContextLengthError
    if status == 429 or (status == 503 and retry_after is not None):
        return RateLimitError
    if status in {409, 425} or (status >= 500 and status not in {501, 505}):
        return ServerError
    return {401: AuthenticationError, 403: AuthenticationError, 408: CallTimeoutError}.get(status, BadRequestError)


def _hint(status: int, kind: type[CallError], detail: str) -> str:
    if kind is AuthenticationError:
        return "; check the key that api_key_env names"
    if status in {404, 405} and _NO_SUCH_PAGE.fullmatch(detail):
        return "; check base_url: it usually ends in /v1"
    if 300 <= status < 400:
        return ": a redirection, which is not followed; put the address it leads to in base_url"
    return ""


def _codes(payload: Any) -> set[str]:
    """Codes and types that the body of an error has, in lower case."""
    if not isinstance(payload, dict):
        return set()
    error = payload.get("error")
    places = [payload, error] if isinstance(error, dict) else [payload]
    values = [place.get(key) for place in places for key in ("code", "type")]
    return {str(value).lower() for value in values if isinstance(value, str | int)}


def _detail(payload: Any) -> str:
    """The words of an error's body, whichever of the usual forms it has."""
    if not isinstance(payload, dict):
        return payload if isinstance(payload, str) else ""
    error = payload.get("error")
    if isinstance(error, dict):
        message = str(error.get("message") or error.get("code") or "")
        metadata = error.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None
        return f"{message} ({raw})" if isinstance(raw, str) and raw else message
    value = error or payload.get("message") or payload.get("detail") or ""
    return value if isinstance(value, str) else json.dumps(value)


def shorten(text: str) -> str:
    """One line, at most 400 letters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 3] + "..."
