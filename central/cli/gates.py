"""`munbon gate list|show`, `munbon gate plan set|show`. Plans are signed here; central carries them and cannot make one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType

from central.cli import exits
from central.cli.arguments import GateArgument, SiteArgument
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, age, line, note, number, out, phase, plain, print_json, printable, table
from central.cli.session import clock, connect, signer_of
from central.cli.tables import Column
from central.render.yaml_reader import read_documents
from shared.contracts.api import GatePlanSet, GatePlanView, GateSampleView, GateView, WhoAmI
from shared.contracts.base import format_utc
from shared.contracts.codec import validate
from shared.contracts.gate_plan import GatePlan
from shared.errors import UsageError
from shared.signing.dsse import sign_document

app = typer.Typer(no_args_is_help=True, help="Gates: levels, openings, alarms, plans.", epilog="Example: munbon gate show north")
plans = typer.Typer(
    no_args_is_help=True, help="Plans: what the gates of a site should do.", epilog="Example: munbon gate plan set north --level g1=2.1"
)
app.add_typer(plans, name="plan")
_COLUMNS = (
    Column("SITE"),
    Column("GATE"),
    Column("NODE", rank=5),
    Column("PRESENCE", rank=2),
    Column("LEVEL"),
    Column("OPENING"),
    Column("FLOW", rank=4),
    Column("TARGET", rank=1),
    Column("MODE"),
    Column("QUALITY"),
    Column("PLAN", rank=6),
    Column("SAMPLED", rank=3),
    Column("ALARMS", folds=True, least=14),
)
_BARS = "▁▂▃▄▅▆▇█"
_LEAST_BARS, _MOST_BARS = 10, 60


@app.command("list", epilog="Example: munbon gate list")
def list_gates(output: OutputOption = Format.TABLE) -> None:
    """All gates of the fleet."""
    with connect() as client:
        views = client.get_list("/gates", GateView)
    if output is Format.JSON:
        print_json(views)
    else:
        out.print(gates_table(views))


@app.command(epilog="Example: munbon gate show north\n\nExample: munbon gate show north g1 -o json")
def show(
    site: SiteArgument,
    gate: GateArgument = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """The gates of a site, and how their levels and openings went lately."""
    with connect() as client:
        views = client.get_list(f"/gates/{site}", GateView)
        if gate is not None:
            views = [view for view in views if view.gate == gate]
        if not views:
            raise CliError(f"site {site!r} has no gate {gate or ''}".rstrip(), exit_code=exits.NOT_FOUND, remedy="see 'munbon gate list'")
        samples = {view.gate: client.get_list(f"/gates/{site}/samples", GateSampleView, gate=view.gate, limit=120) for view in views}
    if output is Format.JSON:
        print_json(
            {
                "gates": [view.to_json() for view in views],
                "samples": {name: [item.to_json() for item in items] for name, items in samples.items()},
            }
        )
        return
    out.print(gates_table(views))
    for text in facts(views):
        out.print(text, markup=False)
    out.print(Group(*(_chart(name, items) for name, items in samples.items())))


@plans.command("set", epilog="Example: munbon gate plan set north --level g1=2.1\n\nExample: munbon gate plan set north --file plan.yaml")
def set_plan(
    site: SiteArgument,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="YAML or JSON: gates (objective, schedule, limits) and valid_from."),
    ] = None,
    level: Annotated[
        list[str] | None, typer.Option("--level", metavar="GATE=METRES", help="Hold the upstream level. May be repeated.")
    ] = None,
    position: Annotated[
        list[str] | None, typer.Option("--position", metavar="GATE=PERCENT", help="Hold an opening. May be repeated.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Signing key instead of the context's.")] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Sign a plan and send it to the site. The gate checks it against its own limits and answers."""
    with connect() as client:
        content = _plan_content(file, level or [], position or [])
        document = _make_plan(client, site, content)
        envelope = sign_document(document, [signer_of(client, key)])
        view = client.send("PUT", f"/gates/{site}/plan", GatePlanSet(envelope=json.loads(envelope)), GatePlanView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(line(_plan_line(view)))
    if view.delivery == "refused":
        raise CliError(
            view.reason or "the gate refused the plan",
            exit_code=exits.REFUSED,
            subject=f"site {site}",
            code=view.code,
            remedy="the old plan stays in force",
        )
    if view.delivery == "pending":
        note("The node is not reachable now: central delivers the plan when it is back.")


@plans.command("show", epilog="Example: munbon gate plan show north")
def show_plan(site: SiteArgument, output: OutputOption = Format.TABLE) -> None:
    """The plan that the gates of a site obey; and the newest that was sent, where it is another one, with what became of it."""
    with connect() as client:
        view = client.get(f"/gates/{site}/plan", GatePlanView)
    if output is Format.JSON:
        print_json(view)
        return
    for text, plan in plan_parts(view, clock.wall()):
        out.print(text, markup=False)
        if plan is not None:
            out.print(json.dumps(plan, indent=2, ensure_ascii=False), markup=False)


def gates_table(views: Sequence[GateView]) -> RenderableType:
    """One row a gate; where its process does not answer, what it said last."""
    now = clock.wall()
    rows = [
        (
            view.site,
            view.gate,
            view.node,
            phase(view.presence.value),
            number(view.summary.level_m, " m", 3),
            number(view.summary.opening_pct, " %", 1),
            number(view.summary.flow_m3s, " m3/s"),
            plain(view.summary.setpoint.replace("upstream_level", "level") or "-"),
            plain(view.summary.mode or "-"),
            phase(view.summary.quality or "-") if view.reachable else "[red]no answer[/]",
            f"local ({view.plan_generation})" if view.local_plan else str(view.plan_generation),
            age(view.summary.sampled_at, now),
            f"[red]{plain(', '.join(view.summary.alarms))}[/]" if view.summary.alarms else "-",
        )
        for view in views
    ]
    return table(_COLUMNS, rows)


def sparkline(values: Sequence[float | None], width: int = _MOST_BARS) -> str:
    """The newest `width` values as bars; gaps stay blank."""
    shown = list(values)[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = high - low
    return "".join(" " if value is None else _BARS[round((value - low) / span * 7)] if span > 0 else _BARS[3] for value in shown)


def _chart(gate: str, samples: Sequence[GateSampleView]) -> RenderableType:
    ordered = sorted(samples, key=lambda item: item.at)
    levels = [item.level_m for item in ordered]
    openings = [item.opening_pct for item in ordered]
    known = [value for value in levels if value is not None]
    bounds = f" {min(known):.3f} to {max(known):.3f} m" if known else " no samples yet"
    width = max(_LEAST_BARS, min(_MOST_BARS, out.width - len(f"{gate} opening {bounds}")))
    return Group("", f"{gate} level   {sparkline(levels, width)}{bounds}", f"{gate} opening {sparkline(openings, width)}")


def plan_parts(view: GatePlanView, now: datetime) -> list[tuple[str, dict[str, Any] | None]]:
    """Lines, each with the plan that belongs below it: what is in force, then the newest where it is not that one."""
    said = view.in_force
    newest = printable(_newest_words(view))
    if said is None:
        return [(f"In force: not known, no node has reported site {view.site}", None), (newest, view.plan)]
    told = f"as node {view.node} said {age(said.reported_at, now)} ago" + ("" if said.reachable else ", whose gate process does not answer")
    if said.local:
        central = f"plan {said.generation} stands by" if said.generation else "none of central's stands by"
        lines: list[tuple[str, dict[str, Any] | None]] = [(f"In force: a plan made at the site; {central} ({told})", None)]
        return [*lines, (newest, view.plan)]
    if not said.generation:
        return [(f"In force: no plan ({told})", None), (newest, view.plan)]
    by = f", set by {printable(said.set_by)}" if said.set_by else ""
    lines = [(f"In force: plan {said.generation}{by} ({told})", said.plan)]
    return lines if said.generation == view.generation else [*lines, (newest, view.plan)]


def _newest_words(view: GatePlanView) -> str:
    reason = f" - {view.code}: {view.reason}" if view.reason else ""
    return f"Newest:   plan {view.generation}, {view.delivery}{reason}; set by {view.set_by}"


def _plan_line(view: GatePlanView) -> str:
    reason = f" - {plain(view.reason)}" if view.reason else ""
    return f"Plan {view.generation} of site {view.site} (node {view.node}): {phase(view.delivery)}{reason}; set by {plain(view.set_by)}"


def _plan_content(file: Path | None, levels: list[str], positions: list[str]) -> dict[str, Any]:
    if file is None:
        gates: dict[str, Any] = {}
        for item in levels:
            gate, value = _figure(item, "--level")
            gates[gate] = {"objective": {"kind": "upstream_level", "level_m": value}}
        for item in positions:
            gate, value = _figure(item, "--position")
            gates[gate] = {"objective": {"kind": "position", "opening_pct": value}}
        if not gates:
            raise UsageError("give --file, --level or --position", subject="munbon gate plan set")
        return {"gates": gates}
    try:
        documents = list(read_documents(file.read_text(encoding="utf-8"), source=str(file)))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", subject=str(file), remedy="check the path") from error
    if len(documents) != 1 or not isinstance(documents[0].content, dict):
        raise UsageError("must hold exactly one plan", subject=str(file))
    return dict(documents[0].content)


def _make_plan(client: Client, site: str, content: dict[str, Any]) -> GatePlan:
    fields = {"kind": "GatePlan", "schema_version": "1.1", "site": site, "author": client.get("/whoami", WhoAmI).actor, **content}
    fields.setdefault("valid_from", format_utc(clock.wall()))
    if fields.get("orders"):
        fields["critical"] = sorted({*fields.get("critical", []), "orders"})
    if "generation" not in fields:
        fields["generation"] = _next_generation(client, site)
    if fields["site"] != site:
        raise UsageError(f"the plan is for site {fields['site']!r}, not {site!r}", subject="munbon gate plan set")
    return validate(fields, GatePlan, subject=f"plan of {site}")


def _next_generation(client: Client, site: str) -> int:
    try:
        known = client.get(f"/gates/{site}/plan", GatePlanView).generation
    except CliError as error:
        if error.exit_code != exits.NOT_FOUND:
            raise
        known = 0
    in_force = [view.plan_generation for view in client.get_list("/gates", GateView) if view.site == site]
    return max([known, *in_force]) + 1


def _figure(item: str, option: str) -> tuple[str, float]:
    gate, _, text = item.partition("=")
    try:
        return gate, float(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {item!r} is no GATE=NUMBER", subject="munbon gate plan set", remedy=f"for example {option} g1=2.1"
        ) from error


def facts(views: Sequence[GateView]) -> list[str]:
    """What keeps a gate from its controller, one line each: tag, trip, service, whose commands count."""
    lines: list[str] = []
    for view in views:
        found = view.summary
        said = [f"tagged out by {found.tagout}"] if found.tagout else []
        said += [f"tripped: {found.trip}"] if found.trip else []
        said += ["out of service"] if not found.in_service else []
        said += ["in manual"] if found.control == "manual" else []
        said += ["the console of the site has its command"] if found.owner == "console" else []
        lines += [f"{view.gate}: {'; '.join(said)}"] if said else []
    return lines
