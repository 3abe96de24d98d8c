"""Loaded by schemathesis: of the valid requests, some get a model that is there, a question, and no contradictions.

Random names and texts would end nearly every request at its first check.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import GenerationMode

_MODELS = ("smcs", "smcs/majority", "careful", "smcs/self-consistency", "smcs/moa")
_QUESTION = {"role": "user", "content": "What is 14 + 6? Finish with: The answer is X."}
_CONTRADICTORY = ("tools", "tool_choice", "parallel_tool_calls", "response_format", "top_logprobs", "stream_options")
_ASKING = ("/v1/chat/completions", "/v1/embeddings")


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Let three of four valid requests reach further."""
    valid = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if valid and context.operation.path in _ASKING and isinstance(case.body, dict):
        case.body = _reaching(case.body, len(repr(case.body)))
    return case


def _reaching(body: dict[str, Any], size: int) -> dict[str, Any]:
    if size % 4 == 0:
        return body
    if "input" in body:
        return {**body, "model": "tfidf/1024"}
    reaching = {**body, "model": _MODELS[size % len(_MODELS)], "messages": [*body.get("messages", ()), _QUESTION]}
    if size % 4 > 1:
        reaching = {key: value for key, value in reaching.items() if key not in _CONTRADICTORY}
    if size % 4 > 2:
        reaching = {**reaching, "messages": [_QUESTION], "smcs": {"k": 2}, "n": 1}
    return reaching
