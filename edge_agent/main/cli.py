"""The commands of `munbon-agent`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.main.control import ask_agent
from edge_agent.main.lean import import_http_client
from edge_agent.main.settings import DEFAULT_CONFIG, AgentSettings, load_agent_settings, load_trust_root
from shared.errors import MunbonError

EXIT_CODES = """\
exit codes:
  0  done
  1  failed
  2  wrong usage, configuration or trust root; or another agent runs on the same folder
  5  no agent runs, or it does not answer
"""


def run_command(arguments: Sequence[str]) -> int:
    """Exit code of one command."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_agent_settings(options.config)
        match options.command:
            case "run":
                import_http_client()
                # only now: status, pause and resume stay light without it
                from edge_agent.main.service import run_agent

                return run_agent(settings, load_trust_root(settings.trust_root))
            case "check":
                return _check(settings, options.config)
            case "status":
                return _status(settings, as_json=options.output == "json")
            case operation:
                return _switch(settings, operation, as_json=options.output == "json")
    except MunbonError as error:
        sys.stderr.write(f"munbon-agent: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="munbon-agent",
        description="The release agent of one node: receives, verifies, applies, judges, goes back by itself.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run until stopped")
    commands.add_parser("check", help="check configuration and trust root; exit code 2 names what is wrong")
    commands.add_parser("status", help="ask the running agent how the node stands")
    commands.add_parser("pause", help="receive and report, but apply nothing and heal nothing, until resume; kept over restarts")
    commands.add_parser("resume", help="end a pause")
    for name, command in commands.choices.items():
        command.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"configuration (default {DEFAULT_CONFIG})")
        if name not in ("run", "check"):
            command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _check(settings: AgentSettings, config: Path) -> int:
    trust = load_trust_root(settings.trust_root)
    sys.stdout.write(f"{config}: node {settings.node}, {len(settings.nats.urls)} bus address(es), {len(trust.keys)} trusted key(s): good\n")
    return 0


def _status(settings: AgentSettings, *, as_json: bool) -> int:
    data = ask_agent(settings.state_dir, "status")
    sys.stdout.write(json.dumps(data, indent=2) + "\n" if as_json else status_text(data))
    return 0


def _switch(settings: AgentSettings, operation: str, *, as_json: bool) -> int:
    data = ask_agent(settings.state_dir, operation)
    word = "paused: it receives and reports, applies and heals nothing" if data["paused_locally"] else "not paused"
    sys.stdout.write(json.dumps(data, indent=2) + "\n" if as_json else f"{settings.node} is {word}\n")
    return 0


def status_text(data: dict[str, Any]) -> str:
    """A status for people."""
    node = data["status"]
    cluster, site = node["cluster"], node["site"]
    bus = "connected" if data["bus"]["connected"] else f"not connected: {data['bus']['problem']}"
    lines = [
        f"node      {node['node']}" + ("  (paused on this node)" if node["paused_locally"] else ""),
        f"agent     {node['agent_version']}, up {data['uptime_s']:.0f} s",
        f"bus       {bus}; {node['outbox_rows']} event(s) wait",
        f"desired   epoch {node['desired_epoch']}, generation {node['desired_generation']}",
        f"cluster   {cluster['version'] or 'unknown'}" + ("" if cluster["reachable"] else f", not reachable: {cluster['message']}"),
    ]
    if site is not None:
        state = f"plan {site['plan_generation']}" + (f", holds updates: {'; '.join(site['hold_reasons'])}" if site["hold"] else "")
        lines.append(f"gate      {site['site'] or 'unknown'}, {state}" + ("" if site["reachable"] else ", does not answer"))
    lines += [f"note      {message}" for message in node["messages"]]
    rows = [("APP", "PHASE", "RUNNING", "LAST GOOD", "MESSAGE")]
    rows += [
        (app, found["phase"], found["running_version"] or "-", found["last_good_version"] or "-", _why(found))
        for app, found in node["apps"].items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines.append("")
    lines += ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _why(app: dict[str, Any]) -> str:
    cause = app["cause"]
    if cause is None:
        return str(app["message"])
    return f"{cause['code']}: {cause['message']}" if cause["message"] else str(cause["code"])
