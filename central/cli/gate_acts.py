"""`munbon gate move|stop|mode|service|ack|shelve|unshelve|reset-trip`, `munbon gate plan release`.

A command is signed here with the operator's key, as a plan is; central carries it and cannot make one, and the gate answers.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from central.cli import exits
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, note, out, print_json
from central.cli.session import clock, connect, signer_of
from shared.contracts.api import GateCommandSend, WhoAmI
from shared.contracts.codec import validate
from shared.contracts.gate_command import CommandView, GateCommand, GateVerb
from shared.errors import Malformed, UsageError
from shared.signing.dsse import sign_document

GOOD_FOR = timedelta(seconds=60)
"""A command is for now; the gate forgives clocks that differ by two minutes."""
ASK_AGAIN = "NoAnswer"
_NOT_NOW = frozenset({"NodeOffline", ASK_AGAIN, "GateUnreachable", "Unavailable", "Busy"})
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST_S = 3_660 * 86_400.0
"""Ten years; much more, and no calendar has the other end."""

Site = Annotated[str, typer.Argument(metavar="SITE", help="The site, as 'munbon gate list' shows it.")]
Gate = Annotated[str, typer.Argument(metavar="GATE", help="A gate of the site.")]
KeyOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Signing key instead of the context's.")]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for the journal of the gate and the audit.")]


def register(app: typer.Typer, plans: typer.Typer) -> None:
    """Add the commands of this file to `munbon gate` and `munbon gate plan`."""
    commands: tuple[tuple[str, Callable[..., None], str], ...] = (
        ("move", move, "Example: munbon gate move north g1 40 --for 15m --note 'trash at the rack'"),
        ("stop", stop, "Example: munbon gate stop north g1\n\nExample: munbon gate stop north"),
        ("mode", mode, "Example: munbon gate mode north g1 auto"),
        ("service", service, "Example: munbon gate service north g1 out --note 'seal is changed'"),
        ("reset-trip", reset_trip, "Example: munbon gate reset-trip north g1"),
        ("ack", ack, "Example: munbon gate ack north\n\nExample: munbon gate ack north g1/level_high"),
        ("shelve", shelve, "Example: munbon gate shelve north g1/sensor_degraded --for 2h"),
        ("unshelve", unshelve, "Example: munbon gate unshelve north g1/sensor_degraded"),
    )
    for name, command, example in commands:
        app.command(name, epilog=example)(command)
    plans.command("release", epilog="Example: munbon gate plan release north")(release)


def move(
    site: Site,
    gate: Gate,
    opening_pct: Annotated[float, typer.Argument(metavar="PERCENT", help="0 = least flow, 100 = most.", min=0.0, max=100.0)],
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="Give up the motion after this (90s, 15m, 2h).")] = "10m",
    note_text: NoteOption = "",
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Move a gate by hand. It stays in manual after that: going back to auto is a command of its own."""
    params = {"opening_pct": opening_pct, "expires_after_s": seconds_of(lasts, "--for")}
    _run(site, gate, GateVerb.MOVE, params, note_text, key, output)


def stop(
    site: Site,
    gate: Annotated[str, typer.Argument(metavar="[GATE]", help="Leave out for all gates of the site.")] = "",
    note_text: NoteOption = "",
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Stop a gate, or all of a site: nothing moves there, protection included, until auto, manual or move."""
    _run(site, gate, GateVerb.STOP, {}, note_text, key, output)


def mode(
    site: Site,
    gate: Gate,
    wanted: Annotated[str, typer.Argument(metavar="auto|manual", help="Who moves the gate: its controller, or people.")],
    note_text: NoteOption = "",
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Give a gate to its controller, or take it into manual, where it holds."""
    _run(site, gate, GateVerb.MODE, {"mode": wanted}, note_text, key, output)


def service(
    site: Site,
    gate: Gate,
    wanted: Annotated[str, typer.Argument(metavar="in|out", help="Out of service no command reaches the gate.")],
    note_text: NoteOption = "",
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Take a gate out of service, or back into it."""
    _run(site, gate, GateVerb.SERVICE, {"service": wanted}, note_text, key, output)


def reset_trip(site: Site, gate: Gate, note_text: NoteOption = "", key: KeyOption = None, output: OutputOption = Format.TABLE) -> None:
    """Let a gate that tripped (stuck, wrong way, ...) take commands again. Its cause should be gone."""
    _run(site, gate, GateVerb.RESET_TRIP, {}, note_text, key, output)


def ack(
    site: Site,
    alarm: Annotated[str, typer.Argument(metavar="[ALARM]", help="As 'munbon gate alarms' shows it; leave out for all.")] = "",
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Acknowledge one alarm of a site, or all."""
    _run(site, "", GateVerb.ACK, {"alarm": alarm}, "", key, output)


def shelve(
    site: Site,
    alarm: Annotated[str, typer.Argument(metavar="ALARM", help="As 'munbon gate alarms' shows it.")],
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="How long (1m to 7d).")] = "1h",
    note_text: NoteOption = "",
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Keep an alarm quiet for a while; it comes back by itself. Urgent ones cannot be shelved."""
    _run(site, "", GateVerb.SHELVE, {"alarm": alarm, "for_s": seconds_of(lasts, "--for")}, note_text, key, output)


def unshelve(
    site: Site,
    alarm: Annotated[str, typer.Argument(metavar="ALARM", help="As 'munbon gate alarms' shows it.")],
    key: KeyOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let a shelved alarm speak again."""
    _run(site, "", GateVerb.UNSHELVE, {"alarm": alarm}, "", key, output)


def release(site: Site, note_text: NoteOption = "", key: KeyOption = None, output: OutputOption = Format.TABLE) -> None:
    """Withdraw the plan that was made at the site's own console; the plan sent from here is in force again."""
    _run(site, "", GateVerb.PLAN_RELEASE, {}, note_text, key, output)


def seconds_of(text: str, option: str) -> float:
    """Seconds of `90s`, `15m`, `6h` or `2d`.

    Raises:
        UsageError: it is no length of time, or one of more than ten years.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None or float(found[1]) <= 0.0:
        raise UsageError(f"{option} {text!r} is no length of time", subject="munbon gate", remedy="write for example 90s, 15m, 6h or 2d")
    length_s = float(found[1]) * _UNITS_S[found[2] or "s"]
    if length_s > _LONGEST_S:
        raise UsageError(f"{option} {text!r} is longer than {_LONGEST_S / 86_400.0:.0f} days", subject="munbon gate")
    return length_s


def _run(site: str, gate: str, verb: GateVerb, params: dict[str, Any], why: str, key: Path | None, output: Format) -> None:
    with connect() as client:
        view = _send(client, _make(client, site, gate, verb, params, why), key)
    if output is Format.JSON:
        print_json(view)
    if not view.accepted:
        raise _refused(view, site)
    if output is not Format.JSON:
        for reason in view.reasons or (f"{verb.value} done",):
            out.print(reason, markup=False)
    if view.repeated:
        note("It had been carried out before; nothing was done now.")


def _make(client: Client, site: str, gate: str, verb: GateVerb, params: dict[str, Any], why: str) -> GateCommand:
    now = clock.wall()
    content = {
        "kind": "GateCommand",
        "id": secrets.token_hex(16),
        "site": site,
        "gate": gate,
        "verb": verb,
        "params": params,
        "issued_at": now.isoformat(),
        "expires_at": (now + GOOD_FOR).isoformat(),
        "note": why,
    }
    try:
        validate(content, GateCommand, subject="command")
    except Malformed as error:
        raise UsageError(error.message, subject=f"munbon gate {verb.value}", remedy="see --help; nothing was sent") from error
    return validate(content | {"author": client.get("/whoami", WhoAmI).actor}, GateCommand, subject="command")


def _send(client: Client, command: GateCommand, key: Path | None) -> CommandView:
    """The gate's answer. A lost answer is asked for once more with the same signed command, which never acts twice."""
    body = GateCommandSend(envelope=json.loads(sign_document(command, [signer_of(client, key)])))
    path = f"/gates/{command.site}/commands"
    view = client.send("POST", path, body, CommandView)
    return client.send("POST", path, body, CommandView) if view.code == ASK_AGAIN else view


def _refused(view: CommandView, site: str) -> CliError:
    if view.code in _NOT_NOW:
        remedy = "look at it with 'munbon gate show', and send it again" if view.code == ASK_AGAIN else "nothing was done; try again later"
        return CliError(view.reason, exit_code=exits.UNREACHABLE, subject=f"site {site}", code=view.code, remedy=remedy)
    return CliError(view.reason or "refused", exit_code=exits.REFUSED, subject=f"site {site}: refused ({view.code})", code=view.code)
