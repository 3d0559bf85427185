"""Blobs and releases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from central.api import answers, queries, views
from central.api.dependencies import Actor, Deps
from central.api.publishing import check_release, verify_release
from central.store import blobs, operations
from shared.contracts.api import BlobView, ReleasePublish, ReleaseView
from shared.contracts.base import DIGEST_PATTERN, AppName, SemVer
from shared.errors import UsageError
from shared.signing.digests import check_digest

router = APIRouter(tags=["releases"])

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_BLOB_BODY = {"requestBody": {"required": True, "content": _BYTES}}


@router.put("/blobs/{digest}", response_model=BlobView, status_code=201, responses={200: {"model": BlobView}}, openapi_extra=_BLOB_BODY)
async def put_blob(digest: Annotated[str, Path(pattern=DIGEST_PATTERN)], request: Request, deps: Deps, actor: Actor) -> Response:
    """Upload the objects of a release by their SHA-256, before the release itself. A repeat is safe."""
    content = await request.body()
    if not content:
        raise UsageError("is empty", subject="blob")
    check_digest(content, digest, subject="blob")
    now = deps.clock.wall()
    created = await deps.database.run(lambda tx: blobs.put_blob(tx, digest, content, now))
    return answers.view(BlobView(digest=digest, size_bytes=len(content), created=created), 201 if created else 200)


@router.post("/releases", response_model=ReleaseView, status_code=201, responses={200: {"model": ReleaseView}})
async def publish_release(body: ReleasePublish, deps: Deps, actor: Actor) -> Response:
    """Record a signed release. The same version with the same content again is no error (200), with other content it is (409)."""
    now = deps.clock.wall()
    verified = verify_release(body.envelope, deps.trust_root)
    checked = await deps.database.read(lambda tx: check_release(tx, verified, actor=actor, at=now))
    record, created = await deps.database.run(
        lambda tx: operations.publish_release(tx, checked.record, checked.envelope, actor=actor, at=now)
    )
    deps.feed.publish("releases", record.app)
    return answers.view(views.release_view(record, None, whole=True), 201 if created else 200)


@router.get("/releases", response_model=list[ReleaseView])
async def list_releases(deps: Deps, app: Annotated[AppName | None, Query()] = None) -> Response:
    """Releases, the newest first, without their signed documents."""
    return answers.views(await deps.database.read(lambda tx: queries.read_releases(tx, app)))


@router.get("/releases/{app}/{version}", response_model=ReleaseView)
async def show_release(app: AppName, version: SemVer, deps: Deps) -> Response:
    """One release with its signed document."""
    return answers.view(await deps.database.read(lambda tx: queries.read_release(tx, app, version)))
