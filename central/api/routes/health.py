"""For supervisors and load balancers; without a token."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from central.api import answers
from central.api.dependencies import Check, Deps
from central.store import meta
from shared.contracts.api import CheckView, HealthView
from shared.errors import MunbonError

router = APIRouter(tags=["health"])


@router.get("/livez", response_model=HealthView)
async def show_alive() -> Response:
    """The process answers."""
    return answers.view(HealthView(status="alive"))


@router.get("/readyz", response_model=HealthView, responses={503: {"model": HealthView}})
async def show_ready(deps: Deps) -> Response:
    """Whether central can do its work: database, bus, loops; says what is missing."""
    checks = [*deps.checks(), await _check_store(deps)]
    ready = all(check.ready for check in checks)
    listed = tuple(CheckView(name=check.name, ready=check.ready, message=check.message) for check in checks)
    return answers.view(HealthView(status="ready" if ready else "not ready", checks=listed), 200 if ready else 503)


async def _check_store(deps: Deps) -> Check:
    try:
        await deps.database.read(meta.read_meta)
    except MunbonError as error:
        return Check("database", ready=False, message=str(error))
    return Check("database", ready=True)
