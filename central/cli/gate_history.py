"""`munbon gate history|alarms`: how a gate went, drawn in the terminal, and what stands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from central.cli.client import Client
from central.cli.gate_acts import Gate, Site, seconds_of
from central.cli.output import Format, OutputOption, age, out, phase, plain, print_json, table
from central.cli.session import clock, connect
from central.cli.tables import Column
from shared.chart import Series, draw_chart
from shared.contracts.api import EventView, GateAlarmView, GateSampleView, GateView
from shared.contracts.base import format_utc
from shared.contracts.event import EventType, wire_type

PAGE = 10_000
EVENTS = 200
SHOWN_EVENTS = 15
_TOLD = (
    EventType.GATE_COMMAND_ACCEPTED,
    EventType.GATE_COMMAND_REFUSED,
    EventType.GATE_ALARM_RAISED,
    EventType.GATE_ALARM_RETURNED,
    EventType.GATE_MODE_CHANGED,
    EventType.GATE_PLAN_ACCEPTED,
    EventType.GATE_PLAN_REFUSED,
)
_ALARMS = (
    Column("SITE"),
    Column("PRIORITY"),
    Column("STATE"),
    Column("ALARM"),
    Column("RAISED", rank=1),
    Column("BY", rank=2),
    Column("REASON", folds=True, least=18),
)
_WORDS = ("verb", "alarm", "mode", "generation", "state", "code", "reason")


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `munbon gate`."""
    app.command("history", epilog="Example: munbon gate history north g1 --since 24h")(history)
    app.command("alarms", epilog="Example: munbon gate alarms\n\nExample: munbon gate alarms north")(alarms)


def history(
    site: Site,
    gate: Gate,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="How far back (90m, 6h, 2d).")] = "6h",
    output: OutputOption = Format.TABLE,
) -> None:
    """How level, opening and flow of a gate went, and what happened: commands, alarms, modes, plans."""
    since_s, until = seconds_of(since, "--since"), clock.wall()
    start = until - timedelta(seconds=since_s)
    with connect() as client:
        view = client.get(f"/gates/{site}/{gate}", GateView)
        samples = _samples(client, site, gate, start)
        events = _events(client, view.node, gate, start)
    if output is Format.JSON:
        print_json({"gate": view.to_json(), "samples": [item.to_json() for item in samples], "events": [item.to_json() for item in events]})
        return
    for line in chart_lines(gate, samples, start, until, braille=(sys.stdout.encoding or "").lower().replace("-", "") == "utf8"):
        out.print(line, markup=False)
    if len(events) > SHOWN_EVENTS:
        out.print(f"... {len(events) - SHOWN_EVENTS} earlier events", markup=False)
    for event in events[-SHOWN_EVENTS:]:
        out.print(_event_line(event), markup=False)


def alarms(
    site: Annotated[str, typer.Argument(metavar="[SITE]", help="Leave out for all sites.")] = "",
    output: OutputOption = Format.TABLE,
) -> None:
    """Alarms that stand, the most urgent of each site first, as the nodes reported them last."""
    with connect() as client:
        sites = [site] if site else sorted({view.site for view in client.get_list("/gates", GateView)})
        found = [alarm for name in sites for alarm in client.get_list(f"/gates/{name}/alarms", GateAlarmView)]
    if output is Format.JSON:
        print_json(found)
        return
    if not found:
        out.print("no alarms", markup=False)
        return
    now = clock.wall()
    rows = [
        (
            alarm.site,
            alarm.priority,
            phase(alarm.state),
            plain(alarm.key),
            age(alarm.raised_at, now) if alarm.raised_at is not None else "-",
            plain(alarm.acknowledged_by or "-"),
            plain(alarm.reason),
        )
        for alarm in found
    ]
    out.print(table(_ALARMS, rows))


def chart_lines(gate: str, samples: Sequence[GateSampleView], start: datetime, until: datetime, *, braille: bool) -> list[str]:
    """Charts of 80 columns; a quantity that the gate does not report is left out."""
    rows = [((sample.at - start).total_seconds(), sample) for sample in samples]
    every = [
        Series(f"{gate} level", "m", [(at_s, row.level_m) for at_s, row in rows], 3),
        Series(f"{gate} opening", "%", [(at_s, row.opening_pct) for at_s, row in rows], 1),
        Series(f"{gate} flow", "m3/s", [(at_s, row.flow_m3s) for at_s, row in rows], 2),
    ]
    span_s = (until - start).total_seconds()
    lines: list[str] = []
    for series in every:
        if any(value is not None for _, value in series.points) or series is every[0]:
            lines += [*draw_chart(series, 0.0, span_s, start=_local(start), end=_local(until), braille=braille), ""]
    return lines


def _samples(client: Client, site: str, gate: str, start: datetime) -> list[GateSampleView]:
    found: list[GateSampleView] = []
    after = start
    while True:
        page = client.get_list(f"/gates/{site}/samples", GateSampleView, gate=gate, after=format_utc(after), limit=PAGE)
        found += page
        if len(page) < PAGE or page[-1].at <= after:
            return found
        after = page[-1].at


def _events(client: Client, node: str, gate: str, start: datetime) -> list[EventView]:
    """What happened to the gate or to its whole site, oldest first."""
    kinds = [kind.value for kind in _TOLD]
    found = client.get_list(f"/nodes/{node}/events", EventView, type=kinds, newest="true", limit=EVENTS)
    told = [event for event in found if happened_at(event) >= start and event.data.get("gate", "") in (gate, "")]
    return sorted(told, key=lambda event: (happened_at(event), event.cursor))


def happened_at(event: EventView) -> datetime:
    """When it happened at the gate; its agent may have read it hours later, and be told by that time."""
    try:
        found = datetime.fromisoformat(str(event.data.get("at", "")))
    except ValueError:
        return event.time
    return found if found.tzinfo is not None else event.time


def _event_line(event: EventView) -> str:
    names = {wire_type(kind): kind.value.removeprefix("Gate") for kind in _TOLD}
    data: dict[str, Any] = event.data
    said = [str(data[name]) for name in _WORDS if data.get(name)]
    if data.get("by"):
        said.append(f"by {data['by']}")
    if data.get("note"):
        said.append(f"note: {data['note']}")
    return f"{_local(happened_at(event))}  {names.get(event.type, event.type):<16} {plain_words(', '.join(said))}"


def plain_words(text: str) -> str:
    """Text from elsewhere without line ends and control characters: it must not steer the operator's terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%d %b %H:%M:%S")
