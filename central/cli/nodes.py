"""`munbon node add|label|list|show|remove` and `munbon events`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from central.cli import exits
from central.cli.exits import CliError
from central.cli.output import (
    Format,
    OutputOption,
    SelectorOption,
    age,
    describe_cause,
    labels,
    note,
    out,
    phase,
    plain,
    print_json,
    print_json_line,
    table,
)
from central.cli.session import clock, connect
from shared.contracts import subjects
from shared.contracts.api import EventView, NodeAdd, NodeEnrolment, NodeLabels, NodeView
from shared.contracts.codec import validate
from shared.durable_file import write_atomic
from shared.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Nodes: enrol, label, look.")


@app.command()
def add(
    node: str,
    label: Annotated[list[str] | None, typer.Option("--label", "-l", help="KEY=VALUE, for example site=north. May be repeated.")] = None,
    folder: Annotated[Path | None, typer.Option("--output-dir", "-d", help="Write agent.toml and trust-root.json there.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The node exists and has lost its SD card: new credentials, same labels.")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Enrol a node; its credentials are shown this once."""
    subjects.check_node_id(node)
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
        note("Its files (this once; the password cannot be shown again):")
        out.print(agent_toml(view), markup=False)
    else:
        out.print(
            f"Copy {folder}/agent.toml and {folder}/trust-root.json to /etc/munbon/ on the node, then: systemctl start munbon-agent",
            markup=False,
        )


@app.command("label")
def label_node(
    node: str, pairs: Annotated[list[str], typer.Argument(metavar="KEY=VALUE|KEY-")], output: OutputOption = Format.TABLE
) -> None:
    """Set labels (KEY=VALUE) or remove them (KEY-), as kubectl does. Assignments follow at once."""
    subjects.check_node_id(node)
    changes: dict[str, str | None] = dict.fromkeys(pair[:-1] for pair in pairs if pair.endswith("-") and "=" not in pair)
    changes.update(_pairs([pair for pair in pairs if not (pair.endswith("-") and "=" not in pair)]))
    body = validate({"labels": changes}, NodeLabels, subject=f"node {node}")
    with connect() as client:
        view = client.send("PATCH", f"/nodes/{node}/labels", body, NodeView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(f"{view.node}: {labels(view.labels)}", markup=False)


@app.command("list")
def list_nodes(selector: SelectorOption = "", output: OutputOption = Format.TABLE) -> None:
    """All nodes, or those that the selector matches."""
    with connect() as client:
        views = client.get_list("/nodes", NodeView, selector=selector or None)
    if output is Format.JSON:
        print_json(views)
        return
    out.print(nodes_table(views))


@app.command()
def show(node: str, output: OutputOption = Format.TABLE) -> None:
    """One node: its apps, why they are as they are, and what it last reported."""
    subjects.check_node_id(node)
    with connect() as client:
        view = client.get(f"/nodes/{node}", NodeView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(_render(view))


@app.command()
def remove(node: str, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Forget a node and its credentials. What runs there goes on running."""
    subjects.check_node_id(node)
    if not yes:
        typer.confirm(f"Forget {node}? It can no longer connect; what runs there goes on.", abort=True, err=True)
    with connect() as client:
        client.delete(f"/nodes/{node}")
    out.print(f"Forgot {node}.", markup=False)


def events(
    node: str,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come in.")] = False,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1, max=10_000)] = 50,
    output: OutputOption = Format.TABLE,
) -> None:
    """What happened on a node, oldest first. With -o json: one event a line."""
    subjects.check_node_id(node)
    with connect() as client:
        views = client.get_list(f"/nodes/{node}/events", EventView, limit=limit, newest="true")
        for view in views:
            _print_event(view, output)
        cursor = views[-1].cursor if views else 0
        if not views:
            note(f"No events of {node} yet.")
        while follow:
            try:
                with client.stream(f"/nodes/{node}/events/stream", after=cursor) as stream:
                    for name, content in stream:
                        if name == "event":
                            view = EventView.model_validate(content)
                            cursor = view.cursor
                            _print_event(view, output)
            except CliError as error:
                if error.exit_code != exits.UNREACHABLE:
                    raise
                note(f"{error}; trying again")
            _wait_a_second()


def nodes_table(views: list[NodeView] | tuple[NodeView, ...]) -> RenderableType:
    """One row a node."""
    now = clock.wall()
    rows = [
        (
            view.node,
            phase(view.presence.value),
            age(view.last_seen, now),
            f"{view.accepted_generation}/{view.desired_generation}" + (" pinned" if view.pinned else ""),
            " ".join(f"{item.app}@{item.running_version or '-'} {phase(str(item.phase))}" for item in view.apps) or "-",
            labels(view.labels),
        )
        for view in views
    ]
    return table(("NODE", "PRESENCE", "SEEN", "GENERATION", "APPS", "LABELS"), rows)


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
    return Group(table(("", ""), head), "", table(("APP", "PHASE", "DESIRED", "RUNS", "LAST GOOD", "SINCE", "CAUSE"), rows))


def _print_event(view: EventView, output: Format) -> None:
    if output is Format.JSON:
        print_json_line(view)
        return
    kind = view.type.removeprefix("io.munbon.").rsplit(".v", 1)[0]
    out.print(
        f"{view.time.isoformat(timespec='seconds')}  {view.sequence:>6}  {kind:<22} {view.subject:<16} {_summary(view)}", markup=False
    )


def _summary(view: EventView) -> str:
    data = view.data
    cause = data.get("cause") if isinstance(data.get("cause"), dict) else {}
    parts = [str(data.get("version") or data.get("reason") or "")]
    if cause:
        shown = [str(cause.get("code", "")), str(cause.get("container", "")), str(cause.get("last_log_line") or cause.get("message") or "")]
        parts.append(" ".join(part for part in shown if part))
    return " ".join(part for part in parts if part)


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
    except OSError as error:
        raise UsageError(f"cannot be made: {error.strerror}", subject=str(folder)) from error


def _write_files(folder: Path, view: NodeEnrolment) -> None:
    write_atomic(folder / "agent.toml", agent_toml(view).encode(), mode=0o600)
    write_atomic(folder / "trust-root.json", (json.dumps(view.trust_root, indent=2) + "\n").encode())


def _wait_a_second() -> None:
    import asyncio

    asyncio.run(clock.sleep(1.0))
