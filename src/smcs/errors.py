"""Every error that smcs raises on purpose.

The message is one or two sentences: what went wrong, with which value, and what to do about it. It never holds a
secret, and it is fit to be shown to a user as it stands.

::

    SmcsError
    ├── UsageError               the caller's input cannot be used (exit status 2)
    │   ├── ConfigError          pool file, preset or setting
    │   ├── UnknownNameError     a name that no plug-in has (backend, grader, strategy, ...)
    │   └── QuestionError        empty question, malformed questions file
    ├── BankError                the question bank cannot be read or written
    │   ├── BankNotFoundError    there is none at this path (exit status 2)
    │   ├── BankFormatError      not a bank, or one of another format version
    │   └── EmbedderMismatchError  the bank was made by another embedder
    ├── WeightsError             a local LLM's weights cannot be had
    │   ├── ChecksumError        what was downloaded is not what was named
    │   └── DiskFullError
    ├── NoAnswerError            the pool gave no answer; carries the trace of what was tried
    │   ├── DeadlineError        ... in the time that the limits allow
    │   └── BudgetError          ... at the cost that the limits allow
    ├── OverloadedError          the server has as many requests as it takes; says when to come back
    └── CallError                one call to an LLM or embedder failed
        ├── ConnectionFailedError  no connection, or it broke
        ├── CallTimeoutError     no answer in time
        ├── RateLimitError       refused for now (HTTP 429, or 503 with Retry-After)
        ├── ServerError          the endpoint failed (HTTP 5xx)
        ├── AuthenticationError  key missing, wrong or without permission (HTTP 401, 403)
        ├── BadRequestError      the endpoint refuses this request (other HTTP 4xx)
        ├── ContextLengthError   the prompt does not fit the LLM's context
        ├── UnsupportedError     the LLM cannot do what is wanted of the answer (tools, JSON, tokens)
        ├── MalformedResponseError  broken JSON, no choice, nothing generated
        └── LogprobsUnavailableError  log-probabilities were needed and are not given
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from smcs.types import Trace


class SmcsError(Exception):
    """Base of all errors of this package."""

    exit_status: ClassVar[int] = 1


class UsageError(SmcsError):
    """The caller's input cannot be used."""

    exit_status: ClassVar[int] = 2


class ConfigError(UsageError):
    """A pool file, preset or setting is wrong."""


class UnknownNameError(UsageError):
    """No plug-in has this name."""


class QuestionError(UsageError):
    """A question, or a file of questions, cannot be used."""


class BankError(SmcsError):
    """The question bank cannot be read or written."""


class BankNotFoundError(BankError):
    """There is no bank at this path."""

    exit_status: ClassVar[int] = 2


class BankFormatError(BankError):
    """The file is not a question bank, or one of another format version."""


class EmbedderMismatchError(BankError):
    """The bank's embeddings were made by another embedder than the one at hand."""


class WeightsError(SmcsError):
    """The weights of a local LLM or embedder cannot be had."""


class ChecksumError(WeightsError):
    """A downloaded file is not the one that was named."""


class DiskFullError(WeightsError):
    """There is no room for the weights."""


class NoAnswerError(SmcsError):
    """The pool gave no answer: every reference, or every aggregation, failed.

    Attributes:
        trace: what was tried, with the failure of each call; None where nothing was.
    """

    def __init__(self, message: str, trace: Trace | None = None) -> None:
        super().__init__(message)
        self.trace = trace


class DeadlineError(NoAnswerError):
    """The time that the limits allow was over before anything was there that could be the answer."""


class BudgetError(NoAnswerError):
    """The calls, tokens or dollars that the limits allow are too few for anything that could be the answer."""


class OverloadedError(SmcsError):
    """The server has as many requests as it takes.

    Attributes:
        retry_after: seconds after which it may be worth trying again.
    """

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CallError(SmcsError):
    """One call to an LLM or an embedder failed.

    Attributes:
        retryable: whether the same call may succeed later.
        retry_after: seconds the endpoint asked to wait, if it did.
        status: HTTP status, if there was one.
        attempts: how often the call was tried; set by the pool when it gives up.
        charged: whether tokens may have been generated, which the endpoint may charge for.
    """

    retryable: ClassVar[bool] = False
    refused: ClassVar[bool] = False

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.attempts = 1
        self.charged = not self.refused

    @property
    def kind(self) -> str:
        """Short name for traces and tables, such as ``rate_limit``."""
        name = type(self).__name__.removesuffix("Error")
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class ConnectionFailedError(CallError):
    """No connection to the endpoint, or it broke before the answer was complete."""

    retryable = True


class CallTimeoutError(CallError):
    """No answer within the LLM's time limit."""

    retryable = True


class RateLimitError(CallError):
    """The endpoint refuses the call for now."""

    retryable = True
    refused = True


class ServerError(CallError):
    """The endpoint failed."""

    retryable = True


class AuthenticationError(CallError):
    """The key is missing, wrong, or not allowed to do this."""

    refused = True


class BadRequestError(CallError):
    """The endpoint refuses this request, and would refuse it again."""

    refused = True


class ContextLengthError(CallError):
    """The prompt does not fit the LLM's context."""

    refused = True


class UnsupportedError(CallError):
    """The LLM's backend cannot do what is wanted of the answer.

    Attributes:
        feature: ``tools``, ``response_format`` or ``logprobs``.
    """

    def __init__(self, message: str, feature: str) -> None:
        super().__init__(message)
        self.feature = feature

    @property
    def kind(self) -> str:
        """Short name with the feature, such as ``unsupported_tools``."""
        return f"unsupported_{self.feature}"


class MalformedResponseError(CallError):
    """The endpoint answered with something that is not a completion."""

    retryable = True


class LogprobsUnavailableError(CallError):
    """The token log-probabilities that perplexity needs are not given by this LLM."""
