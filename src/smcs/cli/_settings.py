"""Settings from ``--set KEY=VALUE`` options."""

from __future__ import annotations

from collections.abc import Iterable


def overridden(overrides: Iterable[str]) -> dict[str, object]:
    """All of them as one table, later ones winning.

    Raises:
        ConfigError: one is not of the form key=value.
    """
    from smcs.config import merge, parse_override

    settings: dict[str, object] = {}
    for override in overrides:
        settings = merge(settings, parse_override(override))
    return settings
