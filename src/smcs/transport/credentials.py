"""Keys and headers: from the environment into requests, and never into a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from smcs.config import secret
from smcs.errors import ConfigError

_VARIABLE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SHORTEST_SECRET = 6  # replacing shorter ones would eat ordinary words and numbers


@dataclass(frozen=True, slots=True)
class Credentials:
    """Headers of every request, and the secrets in them.

    Attributes:
        headers: as sent.
        secrets: what must not stand in a message, longest first.
    """

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text: str) -> str:
        """The text with each secret replaced by ``***``."""
        for value in self.secrets:
            text = text.replace(value, "***")
        return text


def credentials(api_key_env: str | None, headers: Mapping[str, SecretStr], owner: str) -> Credentials:
    """Resolve a key and headers.

    Args:
        api_key_env: environment variable with the key, sent as a bearer token unless `headers` has its own
            ``Authorization``.
        headers: as written in the pool file.
        owner: who takes them, for messages.

    Raises:
        ConfigError: a variable is not set, or a header cannot be sent.
    """
    secrets: set[str] = set()
    resolved: dict[str, str] = {}
    key = secret(api_key_env, owner)
    if key is not None:
        secrets.add(key)
        resolved["Authorization"] = f"Bearer {key}"
    for name, template in headers.items():
        value = _expand(template.get_secret_value(), owner, secrets)
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigError(f"{owner}: {name!r} is not the name of an HTTP header")
        if name.lower() == "authorization":
            resolved.pop("Authorization", None)
        resolved[name] = value
        secrets.update((value, value.rpartition(" ")[2]))
    for name, value in resolved.items():
        if not value.isprintable():
            raise ConfigError(f"{owner}: the value of the header {name} has a line break or control character in it")
    return Credentials(
        resolved, tuple(sorted((s for s in secrets if len(s) >= _SHORTEST_SECRET), key=len, reverse=True))
    )


def _expand(template: str, owner: str, secrets: set[str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        found = secret(match[2] or match[3], owner) or ""
        secrets.add(found)
        return found

    return _VARIABLE.sub(value, template)
