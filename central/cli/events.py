"""`munbon events NODE`: what a node said, one line an event."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from central.cli import exits
from central.cli.arguments import NodeArgument
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, note, number, out, print_json_line, printable
from central.cli.session import connect, wait_a_second
from central.cli.tables import Hanging
from shared.contracts.api import EventView


def events(
    node: NodeArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come in, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(metavar="COUNT", help="The newest so many.", min=1, max=10_000)] = 50,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only these, for example ReleaseFailed. May be repeated.")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """What happened on a node, oldest first. With -o json: one event a line, with its sequence and all its data."""
    with connect() as client:
        views = client.get_list(f"/nodes/{node}/events", EventView, limit=limit, newest="true", type=types or None)
        for view in views:
            _show(view, output)
        if not views:
            note(f"No events of {node} yet.")
        if follow:
            _follow(client, node, types, output, cursor=views[-1].cursor if views else 0)


def _follow(client: Client, node: str, types: list[str] | None, output: Format, *, cursor: int) -> None:
    while True:
        try:
            with client.stream(f"/nodes/{node}/events/stream", after=cursor, type=types or None) as stream:
                for name, content in stream:
                    if name == "event":
                        view = EventView.model_validate(content)
                        cursor = view.cursor
                        _show(view, output)
        except CliError as error:
            if error.exit_code != exits.UNREACHABLE:
                raise
            note(f"{error}; trying again")
        wait_a_second()


def _show(view: EventView, output: Format) -> None:
    if output is Format.JSON:
        print_json_line(view)
        return
    kind = view.type.removeprefix("io.munbon.").rsplit(".v", 1)[0]
    out.print(Hanging(f"{_moment(view.time)}  {kind:<19}  ", printable(f"{view.subject or '-':<12}  {summary(view)}")))


def summary(view: EventView) -> str:
    """What an event says beyond its type, in a few words."""
    data = view.data
    duration_s = data.get("duration_s")
    lasted = f"after {number(duration_s, ' s', 1)}" if isinstance(duration_s, int | float) else ""
    parts = [" ".join(part for part in (_what(data), lasted) if part)]
    if isinstance(data.get("cause"), dict):
        parts.append(_cause(data["cause"]))
    if data.get("before") and data.get("mode"):
        parts.append(f"{data['before']} -> {data['mode']}")
    if isinstance(data.get("reasons"), list):
        parts.append(", ".join(str(reason) for reason in data["reasons"]))
    return ": ".join(part for part in parts if part)


def _what(data: dict[str, Any]) -> str:
    for name in ("samples", "records"):
        if isinstance(data.get(name), list):
            count = len(data[name])
            return f"{count} {name if count != 1 else name[:-1]}"
    if data.get("generation") is not None:
        return f"generation {data['generation']}" + (f", {data['reason']}" if data.get("reason") else "")
    return str(data.get("version") or data.get("reason") or data.get("alarm") or data.get("agent_version") or "")


def _cause(cause: dict[str, Any]) -> str:
    exit_code = f"exit code {cause['exit_code']}" if cause.get("exit_code") is not None else ""
    parts = (str(cause.get("code") or ""), str(cause.get("container") or ""), exit_code)
    said = str(cause.get("last_log_line") or cause.get("message") or "")
    return ", ".join(part for part in parts if part) + (f": {said}" if said else "")


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
