"""``/v1/chat/completions``."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from smcs.server.openai.models import strategy_of
from smcs.server.openai.schemas import ChatRequest
from smcs.server.service import Ask, Served, Service
from smcs.types import Message, Question


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/chat/completions", summary="A chat completion")
    async def complete(request: ChatRequest) -> dict[str, Any]:
        served = await service.answer(_ask(request, service))
        return _completion(request, served)

    return routes


def _ask(request: ChatRequest, service: Service) -> Ask:
    turns = [Message("system" if m.role == "developer" else m.role, m.content) for m in request.messages]
    return Ask(
        question=Question(turns[-1].content),
        history=tuple(turns[:-1]),
        seed=request.seed or 0,
        strategy=strategy_of(request.model, service.house.system),
    )


def _completion(request: ChatRequest, served: Served) -> dict[str, Any]:
    usage = served.answer.usage
    return {
        "id": served.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": served.answer.text, "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }
