"""`munbon-gate plan show|set|release`: the plan in force, and the one made at the site, which outranks central's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from edge_agent.gate_control.console.cli_act import send
from edge_agent.gate_control.console.cli_options import Commands, add_asking, find_socket, write_out
from edge_agent.gate_control.console.client import as_answer, ask
from edge_agent.gate_control.console.render import answer_text, plan_text
from shared.clock import SystemClock
from shared.contracts.base import format_utc
from shared.contracts.codec import parse_json_object, validate
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import GateOperation, GateStatus, PlanView
from shared.contracts.limits import MAX_ENVELOPE_BYTES
from shared.errors import ContractError, UsageError

OBJECTIVES = {"position": "opening_pct", "flow": "flow_m3s", "upstream_level": "level_m", "downstream_level": "level_m"}


def add_commands(commands: Commands) -> None:
    """Register the commands of this file."""
    plan = commands.add_parser("plan", help="the plan in force, and the one made here").add_subparsers(dest="plan_command", required=True)
    show = add_asking(plan.add_parser("show", help="show the plan in force, and one on standby"))
    show.set_defaults(handler=_show)
    put = add_asking(plan.add_parser("set", help="put a plan made here in force; it outranks central's until it is released"))
    put.add_argument("objectives", nargs="*", metavar="GATE=OBJECTIVE:VALUE", help=f"objectives: {', '.join(OBJECTIVES)}")
    put.add_argument("-f", "--file", type=Path, help="YAML or JSON: gates (objective, schedule, limits); '-': JSON from standard input")
    put.set_defaults(handler=_set)
    release = add_asking(plan.add_parser("release", help="withdraw the plan made here; central's is in force again"))
    release.add_argument("--note", default="", help="why, for the journal")
    release.set_defaults(handler=_release)


def _show(options: argparse.Namespace) -> int:
    data = ask(find_socket(options), GateOperation.PLAN_SHOW)
    write_out(options, data, plan_text(as_answer(data, PlanView)))
    return 0


def _set(options: argparse.Namespace) -> int:
    if bool(options.objectives) == bool(options.file):
        raise UsageError("give objectives (g1=position:40) or --file, one of them", subject="munbon-gate plan set")
    socket = find_socket(options)
    content = _from_file(options.file) if options.file else {"gates": dict(_objective(text) for text in options.objectives)}
    status = as_answer(ask(socket, GateOperation.STATUS), GateStatus)
    defaults = {"kind": "GatePlan", "schema_version": "1.0", "site": status.site, "generation": 1}
    plan = defaults | {"valid_from": format_utc(SystemClock().wall())} | content
    try:
        validate(plan, GatePlan, subject=str(options.file or "plan"))
    except ContractError as error:
        raise UsageError(error.message, subject=error.subject, remedy="correct it; the plan in force stays") from error
    data = ask(socket, GateOperation.PLAN_SET_LOCAL, {"plan": plan})
    write_out(options, data, plan_text(as_answer(data, PlanView)))
    return 0


def _release(options: argparse.Namespace) -> int:
    view = send(options, GateAction(verb=GateVerb.PLAN_RELEASE), note=options.note)
    write_out(options, view.to_json(), answer_text(view))
    return 0


def _objective(text: str) -> tuple[str, dict[str, Any]]:
    gate, _, wanted = text.partition("=")
    kind, _, figure = wanted.partition(":")
    try:
        return gate, {"objective": {"kind": kind, OBJECTIVES[kind]: float(figure)}}
    except (KeyError, ValueError) as error:
        remedy = f"for example g1=upstream_level:2.1; objectives are {', '.join(OBJECTIVES)}"
        raise UsageError(f"{text!r} is no GATE=OBJECTIVE:VALUE", subject="munbon-gate plan set", remedy=remedy) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        raw = sys.stdin.buffer.read(MAX_ENVELOPE_BYTES + 1) if str(path) == "-" else path.read_bytes()
        if path.suffix in (".yaml", ".yml"):
            return _from_yaml(raw, path)
        return parse_json_object(raw, subject=str(path), max_bytes=MAX_ENVELOPE_BYTES)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", subject=str(path), remedy="check the path") from error
    except ContractError as error:
        raise UsageError(str(error), subject="munbon-gate plan set") from error


def _from_yaml(raw: bytes, path: Path) -> dict[str, Any]:
    # only now: the process in control does without it
    from edge_agent.gate_control.check.yaml_text import read_yaml

    read = read_yaml(raw.decode("utf-8", errors="replace"), source=str(path))
    if read.remarks or not isinstance(read.data, dict):
        raise UsageError(str(read.remarks[0].problem) if read.remarks else "is no mapping", subject=str(path), remedy="correct it")
    return read.data
