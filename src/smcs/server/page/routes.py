"""The page's routes: its files under ``/`` and ``/page/static/``, its JSON under ``/page/api/``."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from smcs.bank.connect import Location
from smcs.server.living import LivingHouse
from smcs.server.openai.errors import ApiError
from smcs.server.page import showing
from smcs.server.page.asking import answered, ask_of
from smcs.server.page.assets import HEADERS, respond
from smcs.server.page.events import finite, streamed
from smcs.server.page.runs import Runs
from smcs.server.page.schemas import AskBody, FeedbackBody
from smcs.server.service import Ask, Service
from smcs.server.traces import TraceStore, Verdict
from smcs.system import starter_bank

_STREAM = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_AT_ONCE = 200

Text = Annotated[str, Query(max_length=1000)]


def router(service: Service) -> APIRouter:
    """All routes of the page."""
    routes = APIRouter(include_in_schema=False)
    _files(routes)
    _asking(routes, service)
    _bank_and_runs(routes, service)
    _traces(routes, service)
    return routes


def _files(routes: APIRouter) -> None:
    @routes.get("/")
    async def index(request: Request) -> Response:
        return respond(request, "index.html")

    @routes.get("/page/static/{name:path}")
    async def static(request: Request, name: str) -> Response:
        return respond(request, name)


def _asking(routes: APIRouter, service: Service) -> None:
    @routes.get("/page/api/config")
    async def config() -> Response:
        return _json(showing.configuration(service.house.system, service.settings))

    @routes.post("/page/api/ask")
    async def ask(body: AskBody) -> Response:
        return _streamed(service, ask_of(body))

    @routes.post("/page/api/traces/{trace_id}/replay")
    async def replay(trace_id: str, body: AskBody) -> Response:
        return _streamed(service, dataclasses.replace(ask_of(body, source="replay"), replay_of=trace_id))


def _bank_and_runs(routes: APIRouter, service: Service) -> None:
    runs = Runs(service.settings.results)

    @routes.get("/page/api/bank")
    async def bank() -> Response:
        system = service.house.system
        return _json(await asyncio.to_thread(showing.bank, system.bank, system.pool, _location(service)))

    @routes.get("/page/api/runs")
    async def listed() -> Response:
        return _json(await runs.listed())

    @routes.get("/page/api/runs/{run_id}")
    async def report(run_id: str) -> Response:
        found = await runs.report(run_id)
        if found is None:
            raise ApiError(404, "there is no such run", code="unknown_run")
        return _json(found)


def _traces(routes: APIRouter, service: Service) -> None:
    @routes.get("/page/api/traces")
    async def search(
        text: Text = "",
        source: Text | None = None,
        status: Text | None = None,
        before: Text | None = None,
        limit: Annotated[int, Query(ge=1, le=_AT_ONCE)] = 30,
    ) -> Response:
        store = service.traces
        if store is None:
            return _json({"stored": "off", "traces": []})
        found = await _found(
            store, text, source=source or None, status=status or None, before=before or None, limit=limit
        )
        return _json({"stored": store.level, "traces": found})

    @routes.get("/page/api/traces/{trace_id}")
    async def trace(trace_id: str) -> Response:
        record = await service.traces.get(trace_id) if service.traces else None
        if record is None:
            raise ApiError(404, "there is no such trace; it may not have been stored, or removed", code="unknown_trace")
        return _json({**record, "trace": showing.with_bank(record.get("trace"), service.house.system.bank)})

    @routes.post("/page/api/feedback")
    async def feedback(body: FeedbackBody) -> Response:
        if service.traces is None:
            raise ApiError(409, "this server stores no traces, and so no feedback either", code="no_traces")
        if body.verdict == "corrected" and not (body.answer or "").strip():
            raise ApiError(400, "a correction needs the right answer", "answer", "invalid_value")
        verdict: Verdict = "right" if body.verdict == "right" else "wrong"
        kept = await service.traces.add_feedback(body.trace, verdict, answer=body.answer)
        return _json({"stored": True, "texts": kept})


def _location(service: Service) -> Location | None:
    house = service.house
    return house.sources.bank or starter_bank() if isinstance(house, LivingHouse) else None


async def _found(
    store: TraceStore, text: str, *, source: str | None, status: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """Summaries, newest first; status ``failed`` is any but ``ok``."""
    if status != "failed":
        return await store.search(text, source=source, status=status, before=before, limit=limit)
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        part = await store.search(text, source=source, before=before, limit=_AT_ONCE)
        found += [summary for summary in part if summary["status"] != "ok"]
        if len(part) < _AT_ONCE:
            break
        before = part[-1]["id"]
    return found[:limit]


def _streamed(service: Service, ask: Ask) -> Response:
    events = streamed(lambda mailbox: answered(service, ask, mailbox))
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM)


def _json(value: Any) -> Response:
    return JSONResponse(finite(value), headers={**HEADERS, "Cache-Control": "no-store"})
