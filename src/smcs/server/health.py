"""Whether the server is alive, and whether it takes requests."""

from __future__ import annotations

from fastapi import APIRouter, Response

from smcs.server.guard import is_loopback
from smcs.server.service import Service


def router(service: Service) -> APIRouter:
    """``/health`` and ``/ready``. Neither needs a key, and neither tells more than it must."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health", summary="Whether the server is alive")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/ready", summary="Whether it takes requests", responses={503: {"description": "Not now."}})
    async def ready(response: Response) -> dict[str, str | int]:
        if service.stopping:
            response.status_code = 503
        status = "stopping" if service.stopping else "ready"
        problem = service.house.problem
        why = problem if is_loopback(service.settings.host) else "the log says why"  # it may name files
        configuration = f"outdated: {why}" if problem else "current"
        queue = service.queue
        return {
            "status": status,
            "running": queue.running,
            "waiting": queue.waiting,
            "configuration": configuration,
        }

    return routes
