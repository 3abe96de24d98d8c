"""``/v1/chat/completions``."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from smcs.server.openai.asking import ask_of
from smcs.server.openai.bodies import completion_body
from smcs.server.openai.errors import GONE
from smcs.server.openai.hangup import ClientGoneError, unless_gone
from smcs.server.openai.schemas import ChatRequest
from smcs.server.openai.stream import ChatStream
from smcs.server.service import Service


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post(
        "/v1/chat/completions",
        summary="A chat completion",
        responses={200: {"content": {"text/event-stream": {}}, "description": "Whole, or with `stream` as events."}},
    )
    async def complete(body: ChatRequest, request: Request) -> Response:
        """The pool's answer, whole or (with `stream`) as server-sent events: progress as reasoning, then the answer."""
        system = service.house.system
        ask, created, default = ask_of(body, system), int(time.time()), system.strategy.label
        if body.stream:
            return ChatStream(body, ask, lambda observe: service.answer(ask, observe), default, created)
        try:
            served = await unless_gone(request.receive, service.answer(ask))
        except ClientGoneError:
            return GONE.response()
        whole: dict[str, Any] = completion_body(body, ask, served, default, created)
        return JSONResponse(whole)

    return routes
