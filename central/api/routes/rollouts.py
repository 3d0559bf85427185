"""Rollouts, and what stands."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from central.api import answers, queries, streams
from central.api.dependencies import Actor, ApiDependencies, Deps, RolloutId
from central.api.event_stream import EventStream
from central.store import operations, rollouts
from central.store.database import Transaction
from shared.contracts.api import AppChange, AppRollback, AssignmentView, RolloutStart, RolloutView
from shared.contracts.base import AppName

router = APIRouter(tags=["rollouts"])
_SSE = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events `rollout` with a RolloutView."}


@router.post("/rollouts", response_model=RolloutView, status_code=201)
async def start_rollout(body: RolloutStart, deps: Deps, actor: Actor) -> Response:
    """Move what stands for the nodes that match. The same version again tries known-bad nodes anew; a running rollout is superseded."""
    now, rollout_id = deps.clock.wall(), deps.new_id()

    def start(tx: Transaction) -> None:
        operations.start_rollout(tx, body, rollout_id=rollout_id, actor=actor, at=now)
        rollouts.advance_running(tx, now)  # the answer has a row for each node already

    await deps.database.run(start)
    return await _answer_started(deps, body.app, [rollout_id])


@router.get("/rollouts", response_model=list[RolloutView])
async def list_rollouts(
    deps: Deps, app: Annotated[AppName | None, Query()] = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """Rollouts, the newest first, without their rows."""
    return answers.views(await deps.database.read(lambda tx: queries.read_rollouts(tx, app, limit)))


@router.get("/rollouts/{rollout_id}", response_model=RolloutView)
async def show_rollout(rollout_id: RolloutId, deps: Deps) -> Response:
    """One rollout with a row for each node, and its cause where it failed."""
    return answers.view(await deps.database.read(lambda tx: queries.read_rollout(tx, rollout_id)))


@router.get("/rollouts/{rollout_id}/stream", response_class=EventStream, responses={200: _SSE})
async def stream_rollout(rollout_id: RolloutId, deps: Deps) -> Response:
    """The rollout now and after each change, until it is finished."""
    await deps.database.read(lambda tx: queries.read_rollout(tx, rollout_id))
    return EventStream(streams.rollout_items(deps, rollout_id), stopping=deps.stopping, clock=deps.clock)


@router.get("/assignments", response_model=list[AssignmentView])
async def list_assignments(deps: Deps, app: Annotated[AppName | None, Query()] = None) -> Response:
    """What stands: which nodes get which version, also those that come later."""
    return answers.views(await deps.database.read(lambda tx: queries.read_assignments(tx, app)))


@router.post("/apps/{app}/pause", response_model=list[AssignmentView])
async def pause_app(app: AppName, body: AppChange, deps: Deps, actor: Actor) -> Response:
    """The nodes keep what they run of it: nothing is applied, nothing is put back."""
    now = deps.clock.wall()
    await deps.database.run(lambda tx: operations.pause_app(tx, app, body, actor=actor, at=now))
    return await _answer_changed(deps, app)


@router.post("/apps/{app}/resume", response_model=list[AssignmentView])
async def resume_app(app: AppName, body: AppChange, deps: Deps, actor: Actor) -> Response:
    """The end of a pause: what stands is applied again."""
    now = deps.clock.wall()
    await deps.database.run(lambda tx: operations.resume_app(tx, app, body, actor=actor, at=now))
    return await _answer_changed(deps, app)


@router.post("/apps/{app}/remove", response_model=list[AssignmentView])
async def remove_app(app: AppName, body: AppChange, deps: Deps, actor: Actor) -> Response:
    """The only request that deletes an app from its nodes."""
    now = deps.clock.wall()
    await deps.database.run(lambda tx: operations.remove_app(tx, app, body, actor=actor, at=now))
    return await _answer_changed(deps, app)


@router.post("/apps/{app}/rollback", response_model=RolloutView, status_code=201)
async def roll_back_app(app: AppName, body: AppRollback, deps: Deps, actor: Actor) -> Response:
    """Back to the last release that was verified before the current one, or to the version that is named."""
    now = deps.clock.wall()

    def start(tx: Transaction) -> list[str]:
        started = operations.rollback_app(tx, app, body, new_id=deps.new_id, actor=actor, at=now)
        rollouts.advance_running(tx, now)
        return [record.rollout_id for record in started]

    return await _answer_started(deps, app, await deps.database.run(start))


async def _answer_started(deps: ApiDependencies, app: str, rollout_ids: list[str]) -> Response:
    deps.feed.publish("assignments", app)
    for rollout_id in rollout_ids:
        deps.feed.publish("rollouts", rollout_id)
    first, *others = rollout_ids
    found = await deps.database.read(lambda tx: queries.read_rollout(tx, first))
    return answers.view(found.model_copy(update={"also_started": tuple(others)}), 201)


async def _answer_changed(deps: ApiDependencies, app: str) -> Response:
    deps.feed.publish("assignments", app)
    deps.feed.publish("rollouts", "")
    return answers.views(await deps.database.read(lambda tx: queries.read_assignments(tx, app)))
