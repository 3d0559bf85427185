"""`munbon node add|label|list|show|remove`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from central.cli import exits
from central.cli.arguments import NodeArgument
from central.cli.exits import CliError
from central.cli.output import (
    Format,
    OutputOption,
    SelectorOption,
    age,
    confirm,
    describe_cause,
    fields,
    labels,
    note,
    out,
    phase,
    plain,
    print_json,
    table,
)
from central.cli.session import clock, connect
from central.cli.tables import GLUE, Column
from shared.contracts.api import NodeAdd, NodeAppView, NodeEnrolment, NodeLabels, NodeView
from shared.contracts.codec import validate
from shared.contracts.status import AppPhase
from shared.durable_file import write_atomic
from shared.errors import UsageError

app = typer.Typer(
    no_args_is_help=True, help="Nodes: enrol, label, look.", epilog="Example: munbon node add pi-north -l site=north --output-dir pi-north"
)
_MOST_APPS = 4
_COLUMNS = (
    Column("NODE"),
    Column("PRESENCE"),
    Column("SEEN"),
    Column("GENERATION", rank=2),
    Column("APPS", folds=True),
    Column("LABELS", rank=1, folds=True, least=14),
)
_APP_COLUMNS = (
    Column("APP"),
    Column("PHASE"),
    Column("DESIRED"),
    Column("RUNS"),
    Column("LAST GOOD", rank=2),
    Column("SINCE", rank=1),
    Column("CAUSE", folds=True),
)


@app.command(epilog="Example: munbon node add pi-north -l site=north -l canal=main --output-dir pi-north")
def add(
    node: NodeArgument,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="For example site=north. May be repeated.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--output-dir", "-d", metavar="FOLDER", help="Write agent.toml and trust-root.json there.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The node exists and has lost its SD card: new credentials, same labels.")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Enrol a node. Its credentials are shown this once."""
    body = validate({"node": node, "labels": _pairs(label or [])}, NodeAdd, subject=f"node {node}")
    if folder is not None:
        _check_folder(folder, replace)
    with connect() as client:
        view = client.send("POST", "/nodes", body, NodeEnrolment, replace="true" if replace else None)
    if folder is not None:
        _write_files(folder, view)
    if output is Format.JSON:
        print_json(view)
        return
    out.print(f"Enrolled {view.node} ({labels(view.labels)}){' with new credentials' if view.replaced else ''}.", markup=False)
    if folder is None:
        note("Its agent.toml (this once; the password cannot be shown again). With --output-dir trust-root.json is written too:")
        out.print(agent_toml(view), markup=False)
    else:
        out.print(
            f"Copy {folder}/agent.toml and {folder}/trust-root.json to /etc/munbon/ on the node, then: systemctl start munbon-agent",
            markup=False,
        )


@app.command("label", epilog="Example: munbon node label pi-north site=north canal-")
def label_node(
    node: NodeArgument,
    pairs: Annotated[list[str], typer.Argument(metavar="KEY=VALUE|KEY-", help="Sets a label, or with a final '-' removes it.")],
    output: OutputOption = Format.TABLE,
) -> None:
    """Set labels (KEY=VALUE) or remove them (KEY-), as kubectl does. Assignments follow at once."""
    gone = [pair[:-1] for pair in pairs if pair.endswith("-") and "=" not in pair]
    changes: dict[str, str | None] = {**_pairs([pair for pair in pairs if not (pair.endswith("-") and "=" not in pair)])}
    if both := sorted(changes.keys() & set(gone)):
        raise UsageError(f"label {both[0]!r} cannot be both set and removed", subject="munbon node label", remedy="give it once")
    changes.update(dict.fromkeys(gone))
    body = validate({"labels": changes}, NodeLabels, subject=f"node {node}")
    with connect() as client:
        view = client.send("PATCH", f"/nodes/{node}/labels", body, NodeView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(f"{view.node}: {labels(view.labels)}", markup=False)


@app.command("list", epilog="Example: munbon node list -l 'site in (north,south)'")
def list_nodes(selector: SelectorOption = "", output: OutputOption = Format.TABLE) -> None:
    """All nodes, or those that the selector matches."""
    with connect() as client:
        views = client.get_list("/nodes", NodeView, selector=selector or None)
    if output is Format.JSON:
        print_json(views)
        return
    out.print(nodes_table(views))


@app.command(epilog="Example: munbon node show pi-north")
def show(node: NodeArgument, output: OutputOption = Format.TABLE) -> None:
    """One node: its apps, why they are as they are, and what it last reported."""
    with connect() as client:
        view = client.get(f"/nodes/{node}", NodeView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(_render(view))


@app.command(epilog="Example: munbon node remove pi-north --yes")
def remove(
    node: NodeArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, output: OutputOption = Format.TABLE
) -> None:
    """Forget a node and its credentials. What runs there goes on running."""
    if not yes:
        confirm(f"Forget {node}? It can no longer connect; what runs there goes on.")
    with connect() as client:
        client.delete(f"/nodes/{node}")
    if output is Format.JSON:
        print_json({"node": node, "removed": True})
    else:
        out.print(f"Forgot {node}.", markup=False)


def nodes_table(views: Sequence[NodeView]) -> RenderableType:
    """One row a node."""
    now = clock.wall()
    rows = [
        (
            view.node,
            phase(view.presence.value),
            age(view.last_seen, now),
            f"{view.accepted_generation}/{view.desired_generation}" + (" pinned" if view.pinned else ""),
            _apps(view.apps),
            labels(view.labels),
        )
        for view in views
    ]
    return table(_COLUMNS, rows)


def _apps(apps: Sequence[NodeAppView]) -> str:
    """Each app with its phase; where there are many, those that are well are only counted. What was removed is in `node show`."""
    apps = [item for item in apps if item.phase != AppPhase.REMOVED]
    shown = apps if len(apps) <= _MOST_APPS else [item for item in apps if item.phase != AppPhase.READY]
    texts = [f"{plain(item.app)}@{plain(item.running_version or '-')}{GLUE}{phase(str(item.phase))}" for item in shown]
    if len(shown) < len(apps):
        texts.append(f"{len(apps) - len(shown)}{GLUE}{phase(AppPhase.READY.value)}")
    return ", ".join(texts) or "-"


def agent_toml(view: NodeEnrolment) -> str:
    """The agent's settings file for this node."""
    return "\n".join(
        [
            "# settings of munbon-agent; see docs/reference/agent-settings.md",
            f"node = {json.dumps(view.node)}",
            'state_dir = "/var/lib/munbon-agent"',
            'trust_root = "trust-root.json"',
            'kubeconfig = "/etc/rancher/k3s/k3s.yaml"',
            "",
            "[nats]",
            f"urls = [{json.dumps(view.nats_url)}]",
            f"user = {json.dumps(view.nats_user)}",
            f"password = {json.dumps(view.nats_password)}",
            "",
            "# on a node with a gate:",
            "# [gate]",
            '# socket = "/run/munbon-gate/gate.sock"',
            '# interlock_file = "/run/munbon-gate/interlock.json"',
            "",
        ]
    )


def _render(view: NodeView) -> RenderableType:
    now = clock.wall()
    head = [
        ("Node", f"{view.node} ({phase(view.presence.value)}, last seen {age(view.last_seen, now)} ago)"),
        ("Labels", plain(labels(view.labels))),
        ("Agent", plain(f"{view.agent_version or '-'}; cluster {view.cluster or '-'}")),
        (
            "Desired",
            f"generation {view.desired_generation}, accepted {view.accepted_generation}{', pinned after a restore' if view.pinned else ''}",
        ),
        ("Reports", f"{view.outbox_rows} waiting on the node, {view.sequence_gaps} gaps"),
        *(("Message", plain(message)) for message in view.messages),
    ]
    rows = [
        (
            item.app,
            phase(str(item.phase)),
            item.desired_version or "-",
            item.running_version or "-",
            item.last_good_version or "-",
            age(item.since, now) if item.since else "-",
            plain(describe_cause(item.cause) or item.message),
        )
        for item in view.apps
    ]
    return Group(fields(head), "", table(_APP_COLUMNS, rows))


def _pairs(items: list[str]) -> dict[str, str]:
    pairs = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"label {item!r} is no KEY=VALUE", subject="munbon node", remedy="for example site=north")
        pairs[key] = value
    return pairs


def _check_folder(folder: Path, replace: bool) -> None:
    taken = [name for name in ("agent.toml", "trust-root.json") if (folder / name).exists()]
    if taken and not replace:
        raise UsageError(f"{', '.join(taken)} exists there and is not overwritten", subject=str(folder), remedy="choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass  # before the node is enrolled: its password is shown only once
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(folder), remedy="choose another folder; nothing was changed"
        ) from error


def _write_files(folder: Path, view: NodeEnrolment) -> None:
    try:
        write_atomic(folder / "agent.toml", agent_toml(view).encode(), mode=0o600)
        write_atomic(folder / "trust-root.json", (json.dumps(view.trust_root, indent=2) + "\n").encode())
    except OSError as error:
        raise CliError(
            f"cannot be written: {error.strerror}; {view.node} is enrolled, and its password is lost",
            exit_code=exits.FAILED,
            subject=str(folder),
            remedy=f"run: munbon node add {view.node} --replace --output-dir FOLDER",
        ) from error
