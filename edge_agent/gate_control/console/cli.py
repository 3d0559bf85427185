"""The commands of `munbon-gate`: run, check, status, plan show."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.gate_control.console.client import ask
from edge_agent.gate_control.console.render import as_json, plan_text, status_text
from edge_agent.gate_control.console.site_commands import add_tune
from edge_agent.gate_control.console.site_commands import check as check_site_file
from edge_agent.gate_control.model.site import SiteSettings
from shared.contracts.gate_socket import GateOperation, GateStatus, PlanView
from shared.errors import MunbonError
from shared.settings import load_settings

DEFAULT_CONFIG = "/etc/munbon/gate.toml"


RunSite = Callable[[SiteSettings, Path], int]


def run_command(arguments: Sequence[str] | None, run_site: RunSite) -> int:
    """Exit code of one command: 0 done, 2 wrong input, 5 the gate does not answer, 1 anything else.

    `run_site` controls a site until stopped; it is given its settings and the folder where their relative paths start.
    """
    options = _parser(run_site).parse_args(arguments)
    try:
        handler: Callable[[argparse.Namespace], int] = options.handler
        return handler(options)
    except MunbonError as error:
        sys.stderr.write(f"munbon-gate: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def load_site(config: Path) -> SiteSettings:
    """Settings of a site.

    Raises:
        UsageError: names file, key and reason.
    """
    return load_settings(SiteSettings, config)


def _parser(run_site: RunSite) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="munbon-gate", description="Gate control of one site.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="scan and control until stopped")
    check = commands.add_parser("check", help="check a configuration; exit code 2 names what is wrong")
    status = commands.add_parser("status", help="ask the running gate how it stands")
    plan = commands.add_parser("plan", help="the plan in force").add_subparsers(dest="plan_command", required=True)
    show = plan.add_parser("show", help="show the plan in force or on standby")
    check.add_argument("site", type=Path, nargs="?", help="site.yaml")
    add_tune(commands)
    for command in (run, check, status, show):
        command.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"configuration (default {DEFAULT_CONFIG})")
    check.add_argument("-o", "--output", choices=("text", "json"), default="text")
    for command in (status, show):
        command.add_argument("--socket", type=Path, help="the gate's socket, instead of the one that the configuration names")
        command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    run.set_defaults(handler=lambda options: run_site(load_site(options.config), options.config.resolve().parent))
    check.set_defaults(handler=_check)
    status.set_defaults(handler=_status)
    show.set_defaults(handler=_plan_show)
    return parser


def _check(options: argparse.Namespace) -> int:
    if options.site is not None:
        return check_site_file(options.site, as_json=options.output == "json")
    site = load_site(options.config)
    sys.stdout.write(f"{options.config}: site {site.site}, {len(site.gates)} gate(s), scan every {site.scan_period_s:g} s: good\n")
    return 0


def _socket(options: argparse.Namespace) -> Path:
    if options.socket is not None:
        return Path(options.socket)
    return Path(options.config).resolve().parent / load_site(options.config).socket


def _status(options: argparse.Namespace) -> int:
    data = ask(_socket(options), GateOperation.STATUS)
    sys.stdout.write(as_json(data) if options.output == "json" else status_text(GateStatus.model_validate(data)))
    return 0


def _plan_show(options: argparse.Namespace) -> int:
    data = ask(_socket(options), GateOperation.PLAN_SHOW)
    sys.stdout.write(as_json(data) if options.output == "json" else plan_text(PlanView.model_validate(data)))
    return 0
