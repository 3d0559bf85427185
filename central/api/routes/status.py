"""The fleet at a glance, and who asks."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from central.api import answers, queries, streams, views
from central.api.dependencies import Actor, Cursor, Deps
from central.api.event_stream import EventStream
from central.store import audit
from shared.contracts.api import AuditView, FleetStatus, WhoAmI

router = APIRouter(tags=["status"])
_SSE = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events `status` with a FleetStatus."}


@router.get("/status", response_model=FleetStatus)
async def show_status(deps: Deps) -> Response:
    """Nodes, what stands, recent rollouts and gates."""
    now = deps.clock.wall()
    return answers.json_text(await deps.database.read(lambda tx: queries.read_status(tx, now, deps.version).model_dump_json()))


@router.get("/status/stream", response_class=EventStream, responses={200: _SSE})
async def stream_status(request: Request, deps: Deps) -> Response:
    """The status now and after changes, at most twice a second."""
    shared = cast("streams.SharedStatus", request.app.state.shared_status)
    return EventStream(streams.status_items(deps, shared), stopping=deps.stopping, clock=deps.clock)


@router.get("/audit", response_model=list[AuditView], tags=["audit"])
async def list_audit(
    deps: Deps, after: Cursor = 0, limit: Annotated[int, Query(ge=1, le=queries.EVENTS_PAGE_MAX)] = queries.EVENTS_PAGE
) -> Response:
    """Who did what, oldest first after a line number; each line's digest covers the one before it."""
    found = await deps.database.read(lambda tx: audit.list_audit(tx, after, limit))
    return answers.views(views.audit_view(record) for record in found)


@router.get("/whoami", response_model=WhoAmI)
async def show_actor(deps: Deps, actor: Actor) -> Response:
    """The name of the token, and the keys that central verifies with."""
    return answers.view(WhoAmI(actor=actor, central_version=deps.version, fleet=deps.fleet, trust_root=deps.trust_root.to_json()))
