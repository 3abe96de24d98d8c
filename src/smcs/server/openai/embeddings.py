"""``/v1/embeddings``: the pool's own embedder, passed through."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from smcs.protocols import FloatArray
from smcs.registry import did_you_mean
from smcs.server.openai.errors import GONE, ApiError
from smcs.server.openai.hangup import ClientGoneError, unless_gone
from smcs.server.openai.models import EMBEDDER
from smcs.server.openai.schemas import EmbeddingRequest
from smcs.server.service import Service
from smcs.types import EmbedderInfo


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/embeddings", summary="Embeddings of texts")
    async def embed(body: EmbeddingRequest, request: Request) -> Response:
        """Vectors of length 1 by the embedder of the pool. The tokens in `usage` are estimated."""
        info = service.house.system.bank.embedder
        _check(body, info)
        texts = [body.input] if isinstance(body.input, str) else body.input
        try:
            vectors = await unless_gone(request.receive, service.embed(texts, body.smcs.kind))
        except ClientGoneError:
            return GONE.response()
        return JSONResponse(_body(body, texts, vectors))

    return routes


def _check(body: EmbeddingRequest, info: EmbedderInfo) -> None:
    if body.model not in {EMBEDDER, info.name}:
        hint = did_you_mean(body.model, [EMBEDDER, info.name])
        raise ApiError(404, f"there is no embedder {body.model!r}{hint}", "model", "model_not_found")
    if body.dimensions not in {None, info.dimension}:
        raise ApiError(
            400, f"dimensions: {info.name} gives {info.dimension}, and no other number", "dimensions", "invalid_value"
        )


def _body(body: EmbeddingRequest, texts: list[str], vectors: FloatArray) -> dict[str, Any]:
    def vector(i: int) -> str | list[float]:
        if body.encoding_format == "base64":
            return base64.b64encode(vectors[i].astype("<f4").tobytes()).decode()
        return [float(value) for value in vectors[i]]

    tokens = sum(-(-len(text.encode()) // 4) for text in texts)
    return {
        "object": "list",
        "model": body.model,
        "data": [{"object": "embedding", "index": i, "embedding": vector(i)} for i in range(len(texts))],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
