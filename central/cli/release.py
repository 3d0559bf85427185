"""`munbon release publish|list|show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.status import Status

from central.cli.arguments import AppOption, ReleaseArgument, check_app, check_namespace, check_version, split_release
from central.cli.output import Format, OutputOption, age, err, fields, note, out, plain, print_json, table
from central.cli.session import clock, connect, signer_of
from central.cli.tables import Column
from central.render.bundle import Bundle, BundleOptions, build_bundle, read_provenance
from central.render.sources import read_source
from shared.contracts.api import ReleasePublish, ReleaseView
from shared.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    help="Releases: immutable, signed, content-addressed.",
    epilog="Example: munbon release publish k8s/ --app gate-ui --version 1.2.0",
)
_COLUMNS = (
    Column("APP"),
    Column("VERSION"),
    Column("DIGEST", rank=2),
    Column("OBJECTS", rank=3),
    Column("READY"),
    Column("FAILED"),
    Column("AGE"),
    Column("BY", rank=1),
)


@app.command(
    epilog="Example: munbon release publish k8s/ --app gate-ui --version 1.2.0\n\n"
    "Example: munbon release publish ui.yaml --app gate-ui --version 1.3.0 -n canal --dry-run"
)
def publish(
    path: Annotated[Path, typer.Argument(help="A YAML or JSON file, a folder of them, or a kustomize folder.")],
    app_name: Annotated[str, typer.Option("--app", metavar="APP", help="Name of the app.", callback=check_app)],
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="SemVer, for example 1.2.0.", callback=check_version)],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="For objects that name none.", callback=check_namespace)
    ] = "default",
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Signing key instead of the context's.")] = None,
    allow_secrets: Annotated[
        bool, typer.Option("--allow-secrets", help="Let plain Secret objects pass; anyone who reads the release reads them.")
    ] = False,
    health_deadline_s: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Seconds until it must be healthy, once its images are there.")
    ] = None,
    soak_s: Annotated[int | None, typer.Option(metavar="SECONDS", help="Seconds it must stay healthy to become last good.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, sign and show; send nothing.")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Read objects as kubectl does, check them, sign the release and publish it."""
    if not path.exists():
        raise UsageError("there is no such file or folder", subject=str(path), remedy="check the path")
    delivery = {name: value for name, value in (("health_deadline_s", health_deadline_s), ("soak_s", soak_s)) if value is not None}
    options = BundleOptions(
        app=app_name,
        version=version,
        namespace=namespace,
        allow_secrets=allow_secrets,
        provenance=read_provenance(path, clock.wall()),
        delivery=delivery,
    )
    with connect() as client:
        signer = signer_of(client, key)
        with Status("reading and checking", console=err) as progress:
            bundle = build_bundle(read_source(path), options, [signer])
            _tell(bundle)
            if dry_run:
                _show_dry_run(bundle, output)
                return
            progress.update(f"sending {len(bundle.blob)} bytes")
            client.put_bytes(f"/blobs/{bundle.release.blob_digest}", bundle.blob)
            progress.update("publishing")
            body = ReleasePublish(envelope=json.loads(bundle.envelope))
            view = client.send("POST", "/releases", body, ReleaseView)
            created = client.last_status == 201
    if output is Format.JSON:
        print_json(view)
        return
    what = f"{view.objects_count} objects, {view.blob_size_bytes} bytes, digest {view.release_digest[:12]}"
    done = "Published" if created else "Published before, with the same content:"
    out.print(f"{done} {view.app}@{view.version}: {what}.", markup=False)
    out.print(f"Next: munbon rollout start {view.app}@{view.version} --wait", markup=False)


@app.command("list", epilog="Example: munbon release list --app gate-ui")
def list_releases(app_name: AppOption = None, output: OutputOption = Format.TABLE) -> None:
    """All releases, newest first."""
    with connect() as client:
        views = client.get_list("/releases", ReleaseView, app=app_name)
    if output is Format.JSON:
        print_json(views)
        return
    now = clock.wall()
    rows = [
        (
            view.app,
            view.version,
            view.release_digest[:12],
            str(view.objects_count),
            str(view.nodes_ready),
            str(view.nodes_failed),
            age(view.published_at, now),
            plain(view.published_by),
        )
        for view in views
    ]
    out.print(table(_COLUMNS, rows))


@app.command(epilog="Example: munbon release show gate-ui@1.2.0")
def show(release: ReleaseArgument, output: OutputOption = Format.TABLE) -> None:
    """One release in full."""
    name, version = split_release(release)
    with connect() as client:
        view = client.get(f"/releases/{name}/{version}", ReleaseView)
    if output is Format.JSON:
        print_json(view)
        return
    content = view.release or {}
    provenance = content.get("provenance", {})
    rows = [
        ("App", view.app),
        ("Version", view.version),
        ("Release digest", view.release_digest),
        ("Content digest", view.content_digest),
        ("Objects", f"{view.objects_count} in namespace {view.namespace}, {view.blob_size_bytes} bytes packed"),
        ("Images", plain(", ".join(view.images) or "-")),
        ("Signed by", plain(", ".join(keyid[:12] for keyid in view.signed_by))),
        ("Published", plain(f"{view.published_at:%Y-%m-%dT%H:%M:%SZ} by {view.published_by}")),
        ("Commit", plain(f"{provenance.get('commit') or '-'} {provenance.get('author') or ''}")),
        ("Nodes", f"{view.nodes_ready} ready, {view.nodes_failed} failed"),
    ]
    out.print(fields(rows))


def _tell(bundle: Bundle) -> None:
    for warning in bundle.warnings:
        note(f"warning: {warning}")
    for finding in bundle.notes:
        note(f"note: {finding.object}: {finding.reason}")


def _show_dry_run(bundle: Bundle, output: Format) -> None:
    if output is Format.JSON:
        print_json(bundle.release)
        return
    release = bundle.release
    what = f"{release.objects_count} objects, content {release.content_digest[:12]}"
    out.print(f"{release.app}@{release.version} would be published: {what}. Nothing was sent.", markup=False)
