"""Nodes: enrolment, labels, and what they sent."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic import StringConstraints
from starlette.responses import Response

from central.api import answers, queries, streams
from central.api.dependencies import MAX_CURSOR, Actor, ApiDependencies, Cursor, Deps
from central.api.event_stream import EventStream
from central.bus.server_config import CENTRAL_USER
from central.identity.secrets import hash_node_password, new_node_password
from central.store import operations
from shared.contracts.api import EventView, NodeAdd, NodeEnrolment, NodeLabels, NodeView
from shared.contracts.subjects import check_node_id
from shared.errors import Retryable, UsageError
from shared.observability import get_logger

router = APIRouter(prefix="/nodes", tags=["nodes"])
_SSE = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events `event` with an EventView."}
_CURSOR = re.compile(r"[0-9]{1,19}")
_LOG = get_logger("central.api.nodes")
EventName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.]{1,80}$")]
Types = Annotated[list[EventName] | None, Query(alias="type", description="Event types, such as ReleaseFailed; may repeat.")]


@router.post("", response_model=NodeEnrolment, status_code=201)
async def add_node(body: NodeAdd, deps: Deps, actor: Actor, replace: Annotated[bool, Query()] = False) -> Response:
    """Let a node connect. The password is shown once. With `replace` a node that exists gets new credentials and keeps its labels."""
    if body.node == CENTRAL_USER:
        raise UsageError(f"{body.node!r} is central's own name on the bus", subject="node", remedy="choose another name")
    now, password = deps.clock.wall(), new_node_password()
    password_hash = await asyncio.to_thread(hash_node_password, password)
    record, known = await deps.database.run(
        lambda tx: operations.enrol_node(tx, body.node, body.labels, password_hash, actor=actor, at=now, replace=replace)
    )
    await _tell_bus(deps, body.node)
    enrolment = NodeEnrolment(
        node=record.node,
        nats_url=deps.nats_url,
        nats_user=record.node,
        nats_password=password,
        trust_root=deps.trust_root.to_json(),
        labels=dict(record.labels),
        replaced=known,
    )
    return answers.view(enrolment, 201)


@router.get("", response_model=list[NodeView])
async def list_nodes(deps: Deps, selector: Annotated[str, Query(max_length=1_000)] = "") -> Response:
    """Nodes that match the selector (as kubectl's `-l`), by name."""
    now = deps.clock.wall()
    return answers.json_text(await deps.database.read(lambda tx: answers.dump(queries.read_nodes(tx, selector, now))))


@router.get("/{node}", response_model=NodeView)
async def show_node(node: str, deps: Deps) -> Response:
    """One node: labels, presence, apps, and what is wrong."""
    now = deps.clock.wall()
    return answers.view(await deps.database.read(lambda tx: queries.read_node(tx, check_node_id(node), now)))


@router.patch("/{node}/labels", response_model=NodeView)
async def change_labels(node: str, body: NodeLabels, deps: Deps, actor: Actor) -> Response:
    """Set and remove labels; what stands follows at once."""
    if not body.labels:
        raise UsageError("names no label", subject="labels", remedy='send {"labels": {"canal": "north", "old": null}}')
    now = deps.clock.wall()
    await deps.database.run(lambda tx: operations.relabel_node(tx, check_node_id(node), body.labels, actor=actor, at=now))
    _announce(deps, node)
    return answers.view(await deps.database.read(lambda tx: queries.read_node(tx, node, now)))


@router.delete("/{node}", status_code=204)
async def delete_node(node: str, deps: Deps, actor: Actor) -> Response:
    """The node may connect no more; what runs there goes on. Its events and the audit stay."""
    now = deps.clock.wall()
    await deps.database.run(lambda tx: operations.forget_node(tx, check_node_id(node), actor=actor, at=now))
    await _tell_bus(deps, node)
    return Response(status_code=204)


@router.get("/{node}/events", response_model=list[EventView])
async def list_events(
    node: str,
    deps: Deps,
    after: Cursor = 0,
    limit: Annotated[int, Query(ge=1, le=queries.EVENTS_PAGE_MAX)] = queries.EVENTS_PAGE,
    types: Types = None,
    newest: Annotated[bool, Query(description="The last ones instead of the first after the cursor.")] = False,
) -> Response:
    """Events after a cursor, oldest first; ask again with the last `cursor` for the next page."""
    check_node_id(node)
    wanted = tuple(types or ())
    found = await deps.database.read(lambda tx: queries.read_events(tx, node, after=after, limit=limit, types=wanted, newest=newest))
    return answers.views(found)


@router.get("/{node}/events/stream", response_class=EventStream, responses={200: _SSE})
async def stream_events(
    node: str,
    deps: Deps,
    after: Cursor = 0,
    types: Types = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Events after a cursor, then each new one. A client that lost the stream comes again with `Last-Event-ID`, and misses none."""
    check_node_id(node)
    cursor = min(int(last_event_id), MAX_CURSOR) if last_event_id is not None and _CURSOR.fullmatch(last_event_id) else after
    wanted = tuple(types or ())
    await deps.database.read(lambda tx: queries.read_events(tx, node, after=cursor, limit=1, types=wanted))
    return EventStream(streams.event_items(deps, node, cursor, wanted), stopping=deps.stopping, clock=deps.clock)


async def _tell_bus(deps: ApiDependencies, node: str) -> None:
    """The store has the word already; a bus that cannot be told now is told by its keeper when it is back."""
    try:
        await deps.access.refresh_users()
    except Retryable as error:
        _LOG.warning("the bus will learn of it later", node=node, reason=str(error))
    _announce(deps, node)


def _announce(deps: ApiDependencies, node: str) -> None:
    deps.feed.publish("nodes", node)
    deps.feed.publish("assignments", "")
