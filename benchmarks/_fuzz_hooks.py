"""Loaded by schemathesis: requests that only differ from good ones in one place reach further into the server."""

from __future__ import annotations

from typing import Any

import schemathesis

_MODELS = ("smcs", "smcs/majority", "careful", "smcs/single:llm=careful")
_ASKING = ("/v1/chat/completions", "/page/api/ask", "/v1/embeddings")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Name a model that is there, in three of four bodies: a random name ends every request at its first check."""
    size = len(repr(body))
    if context.operation.path in _ASKING and isinstance(body, dict) and isinstance(body.get("model"), str) and size % 4:
        return {**body, "model": _MODELS[size % len(_MODELS)]}
    return body
