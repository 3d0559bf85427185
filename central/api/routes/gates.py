"""Gates, their plans and commands. Central carries plans and commands, it cannot make one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from central.api import answers, gate_commands, queries, views
from central.api.dependencies import Actor, Deps
from central.api.gate_plans import deliver_plan, record_plan
from central.store import gates
from shared.contracts.api import GateAlarmView, GateCommandSend, GatePlanSet, GatePlanView, GateSampleView, GateView
from shared.contracts.base import GateId, SiteName, UtcTime
from shared.contracts.gate_command import CommandView

router = APIRouter(prefix="/gates", tags=["gates"])


@router.get("", response_model=list[GateView])
async def list_gates(deps: Deps) -> Response:
    """Every gate that a node has reported."""
    now = deps.clock.wall()
    return answers.views(await deps.database.read(lambda tx: queries.read_gates(tx, now)))


@router.put("/{site}/plan", response_model=GatePlanView)
async def set_plan(site: SiteName, body: GatePlanSet, deps: Deps, actor: Actor) -> Response:
    """Carry a signed plan to the site's gate process. `delivery` tells what became of it: accepted, refused, or pending."""
    record = await record_plan(deps, site, body.envelope, actor=actor)
    delivered = await deliver_plan(deps, record)
    return answers.view(views.plan_view(delivered))


@router.get("/{site}/plan", response_model=GatePlanView)
async def show_plan(site: SiteName, deps: Deps) -> Response:
    """The newest plan that central carries for the site, and what became of it."""
    return answers.view(await deps.database.read(lambda tx: queries.read_plan(tx, site)))


@router.post("/{site}/commands", response_model=CommandView)
async def run_command(site: SiteName, body: GateCommandSend, deps: Deps, actor: Actor) -> Response:
    """Carry a signed command to the site's gate process now, and give its answer: `accepted`, or the reason why not."""
    return answers.view(await gate_commands.run_command(deps, site, body.envelope, actor=actor))


@router.get("/{site}/alarms", response_model=list[GateAlarmView])
async def list_alarms(site: SiteName, deps: Deps) -> Response:
    """The alarm table of a site as it was reported last, the most urgent first."""
    return answers.views(await deps.database.read(lambda tx: queries.read_alarms(tx, site)))


@router.get("/{site}/samples", response_model=list[GateSampleView])
async def list_samples(
    site: SiteName,
    deps: Deps,
    gate: Annotated[GateId | None, Query()] = None,
    after: Annotated[UtcTime | None, Query(description="RFC 3339; samples later than this.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Response:
    """Recorded levels, openings and flows, oldest first."""
    found = await deps.database.read(lambda tx: gates.list_samples(tx, site, gate=gate, after=after, limit=limit))
    return answers.views(views.sample_view(sample) for sample in found)


@router.get("/{site}", response_model=list[GateView])
async def show_site(site: SiteName, deps: Deps) -> Response:
    """Gates of one site."""
    now = deps.clock.wall()
    return answers.views(await deps.database.read(lambda tx: queries.read_site(tx, site, now)))


@router.get("/{site}/{gate}", response_model=GateView)
async def show_gate(site: SiteName, gate: GateId, deps: Deps) -> Response:
    """One gate."""
    now = deps.clock.wall()
    found = await deps.database.read(lambda tx: queries.read_site(tx, site, now, gate))
    return answers.view(found[0])
