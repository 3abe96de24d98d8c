"""Every way in which an endpoint says no becomes the right typed error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from smcs.errors import (
    AuthenticationError,
    BadRequestError,
    CallError,
    CallTimeoutError,
    ContextLengthError,
    RateLimitError,
    ServerError,
)
from smcs.transport.failures import error_in_body, error_of_response, retry_after_s

WHERE = "http://host:1"


def same(text: str) -> str:
    return text


def error(status: int, body: Any, retry_after: float | None = None) -> CallError:
    text = body if isinstance(body, str) else json.dumps(body)
    return error_of_response(status, text, where=WHERE, redact=same, retry_after=retry_after)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, BadRequestError, False),
        (403, AuthenticationError, False),
        (404, BadRequestError, False),
        (408, CallTimeoutError, True),
        (409, ServerError, True),
        (422, BadRequestError, False),
        (425, ServerError, True),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (501, BadRequestError, False),
        (502, ServerError, True),
        (503, ServerError, True),
        (504, ServerError, True),
        (529, ServerError, True),
    ],
)
def test_status_decides(status: int, kind: type[CallError], retryable: bool) -> None:
    made = error(status, {"error": {"message": "because"}})
    assert type(made) is kind
    assert (made.status, made.retryable) == (status, retryable)
    assert str(made).startswith(f"{WHERE} answered HTTP {status}: because")


def test_service_unavailable_with_a_time_to_wait_is_a_rate_limit() -> None:
    made = error(503, "", retry_after=2.0)
    assert isinstance(made, RateLimitError)
    assert made.retry_after == 2.0


def test_an_empty_account_is_not_worth_waiting_for() -> None:
    made = error(429, {"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}})
    assert type(made) is BadRequestError


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "too much", "code": "context_length_exceeded"}}),
        (400, {"error": {"message": "too much", "type": "exceed_context_size_error", "n_ctx": 256, "code": 400}}),
        (500, {"error": {"message": "the request exceeds the available context size", "code": 500}}),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}),
        (400, {"message": "The input (61709 tokens) is longer than the model's context length (40960 tokens)."}),
        (400, {"error": "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."}),
        (400, {"error": {"message": "The decoder prompt (length 9) is longer than the maximum model length of 8."}}),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}),
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096"}),
        (400, {"object": "error", "message": "max_tokens must be at least 1, got -186.", "code": 400}),
        (413, {"detail": "too many tokens in the request"}),
    ],
)
def test_a_prompt_that_does_not_fit_is_told_from_other_refusals(status: int, body: Any) -> None:
    assert isinstance(error(status, body), ContextLengthError)


def test_a_refusal_about_something_else_is_no_context_error() -> None:
    assert type(error(400, {"error": {"message": "unsupported parameter: presence_penalty"}})) is BadRequestError


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "in the object"}}, "in the object"),
        ({"error": "as a text"}, "as a text"),
        ({"message": "at the top"}, "at the top"),
        ({"detail": "in FastAPI's way"}, "in FastAPI's way"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        ({"error": {"message": "Provider error", "metadata": {"raw": "upstream says no"}}}, "upstream says no"),
        ("plain text", "plain text"),
    ],
)
def test_the_endpoints_own_words_are_shown(body: Any, words: str) -> None:
    assert words in str(error(400, body))


@pytest.mark.parametrize("body", ["", "<html><body>502</body></html>", "{}", "null", "[]", '{"error": null}', "{"])
def test_any_body_gives_an_error(body: str) -> None:
    made = error(502, body)
    assert isinstance(made, ServerError)
    assert "<html>" not in str(made)


@pytest.mark.parametrize(
    "body", ["", "<html></html>", "404: Not Found", '{"detail": "Not Found"}', "404 page not found\n"]
)
def test_a_missing_page_hints_at_the_address(body: str) -> None:
    assert "/v1" in str(error(404, body))


def test_a_missing_model_does_not() -> None:
    assert "/v1" not in str(error(404, {"error": {"message": "The model 'x' does not exist."}}))


def test_a_redirection_is_refused_with_a_hint() -> None:
    made = error(307, "")
    assert type(made) is BadRequestError
    assert "base_url" in str(made)


def test_secrets_are_taken_out_before_the_text_is_shortened() -> None:
    body = {"error": {"message": "x" * 395 + "sk-secret"}}
    made = error_of_response(
        401, json.dumps(body), where=WHERE, redact=lambda text: text.replace("sk-secret", "***"), retry_after=None
    )
    assert "sk-" not in str(made)
    assert len(str(made)) < 600


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": {"message": "m", "code": 429}}, RateLimitError, 429),
        ({"error": {"message": "m", "code": "502"}}, ServerError, 502),
        ({"error": {"message": "m", "code": "rate_limit_exceeded"}}, RateLimitError, 429),
        ({"error": {"message": "m", "type": "BadRequestError", "code": None}}, BadRequestError, 400),
        ({"error": {"message": "m", "code": "context_length_exceeded"}}, ContextLengthError, 400),
        ({"error": {"message": "m"}}, ServerError, 500),
        ({"error": "m"}, ServerError, 500),
    ],
)
def test_an_error_under_a_success_is_found(body: Any, kind: type[CallError], status: int) -> None:
    made = error_in_body(body, where=WHERE, redact=same)
    assert type(made) is kind
    assert made.status == status


@pytest.mark.parametrize("body", [{}, {"error": None}, {"choices": []}, [], "text", None, 3])
def test_a_body_without_an_error_has_none(body: Any) -> None:
    assert error_in_body(body, where=WHERE, redact=same) is None


NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(CIMultiDict(headers), now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_header_breaks_the_reading(value: str) -> None:
    seconds = retry_after_s({"Retry-After": value})
    assert seconds is None or seconds >= 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "metadata", "raw", "detail"]), inner)
    ),
    max_leaves=12,
)


@given(status=st.integers(300, 599), body=json_values)
def test_no_body_breaks_the_reading(status: int, body: Any) -> None:
    assert isinstance(error(status, body), CallError)
    found = error_in_body(body, where=WHERE, redact=same)
    assert found is None or isinstance(found, CallError)
