"""The ``answer`` field of a response that was asked for as JSON with "reasoning" and "answer"."""

from __future__ import annotations

import json
import re
from typing import Any

_FIELD = re.compile(r"""["']answer["']\s*:\s*""", re.IGNORECASE)


def json_answer(response: str) -> str | None:
    """The text of the first ``answer`` field, as the source of the recorded data reads it; None where there is none.

    A value that is not a string comes back as it is written. LLMs write JSON with unescaped quotes and line breaks, so
    what is no valid JSON is read by its outline: from the field's colon to the end of the line or of the object.
    """
    fields = [response[match.end() :] for match in _FIELD.finditer(response)]
    for rest in fields:
        value = _decoded(rest)
        if value is not None:
            return value if isinstance(value, str) else _as_written(rest)
    return _outline(fields[0]) if fields else None


def _decoded(text: str) -> Any:
    """The JSON value at the start, if what follows it closes the object or goes on with the next field."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if re.match(r"\s*(?:[,}\n]|$)", text[end:]) else None


def _as_written(text: str) -> str:
    _, end = json.JSONDecoder(strict=False).raw_decode(text)
    return text[:end]


def _outline(text: str) -> str | None:
    end = re.search(r"\s*\n\s*(?:\}|```|$)|\s*\}\s*(?:```)?\s*$|\s*$", text)
    value = text[: end.start()] if end else text
    value = value.strip().removesuffix(",").strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return value or None
