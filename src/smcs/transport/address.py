"""Where an endpoint is and how it is reached: the settings that all remote backends share."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, model_validator

from smcs.config import Settings


class EndpointSettings(Settings):
    """How to reach an OpenAI-compatible endpoint.

    Attributes:
        base_url: address up to what comes before ``/chat/completions`` or ``/embeddings``; it mostly ends in ``/v1``.
        model: what the endpoint calls it.
        api_key_env: environment variable that holds the key.
        headers: further HTTP headers. ``$NAME`` or ``${NAME}`` in a value is the environment variable's value, ``$$``
            a dollar. Values are treated as secrets.
        connect_timeout_s: most seconds to open a connection.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: str
    model: Annotated[str, Field(min_length=1)]
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    connect_timeout_s: Annotated[float, Field(gt=0)] = 10.0

    @model_validator(mode="before")
    @classmethod
    def _check_what_may_be_secret(cls, values: Any) -> Any:
        # Not checked at the fields: an error of a field shows its value, and here that may be a password.
        if not isinstance(values, dict):
            return values
        checked = dict(values)
        if isinstance(checked.get("base_url"), str):
            checked["base_url"] = checked_base_url(checked["base_url"])
        headers = checked.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(v, str | SecretStr) for v in headers.values()):
            raise ValueError("headers is a table of texts")
        return checked


def origin(base_url: str) -> str:
    """Scheme, host and port: what messages call the endpoint."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def checked_base_url(url: str) -> str:
    """A usable address without a slash at its end.

    Raises:
        ValueError: it is none, and why; without the address itself.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("base_url is not a valid address; write it such as http://127.0.0.1:8000/v1") from None
    if "@" in parts.netloc:
        raise ValueError("base_url must not hold a user name or password; use api_key_env or headers")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("base_url must be an address such as http://127.0.0.1:8000/v1")
    if parts.query or parts.fragment:
        raise ValueError("base_url must not have a ? or # part; put keys into api_key_env or headers")
    path = parts.path.rstrip("/")
    for ending in ("/chat/completions", "/embeddings"):
        if path.endswith(ending):
            raise ValueError(f"base_url must end before {ending}, usually in /v1")
    return f"{parts.scheme}://{parts.netloc}{path}"
