"""`munbon-gate status|alarms|history`: how the site stands, and how it went."""

from __future__ import annotations

import argparse
import sys
import threading
from datetime import timedelta

from edge_agent.gate_control.console.cli_options import Commands, add_asking, duration_s, find_socket, terminal_width, write_out
from edge_agent.gate_control.console.client import as_answer, ask
from edge_agent.gate_control.console.history import GateHistory, read_history
from edge_agent.gate_control.console.render import alarms_text, history_text, status_text
from shared.clock import SystemClock
from shared.contracts.gate_socket import GateOperation, GateStatus
from shared.errors import Retryable, UsageError

WATCH_S = 1.0
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


def add_commands(commands: Commands) -> None:
    """Register the commands of this file."""
    status = add_asking(commands.add_parser("status", help="how the site stands, gate by gate"))
    status.add_argument("-w", "--watch", action="store_true", help="again each second until interrupted")
    status.set_defaults(handler=_status)
    alarms = add_asking(commands.add_parser("alarms", help="alarms that stand, the most urgent first"))
    alarms.set_defaults(handler=_alarms)
    history = add_asking(commands.add_parser("history", help="how level, opening and flow of a gate went, and what happened"))
    history.add_argument("gate")
    history.add_argument("--since", type=duration_s, default=21_600.0, help="how far back (default 6h)")
    history.set_defaults(handler=_history)


def _status(options: argparse.Namespace) -> int:
    socket = find_socket(options)
    if not options.watch:
        data = ask(socket, GateOperation.STATUS)
        write_out(options, data, status_text(as_answer(data, GateStatus), terminal_width()))
        return 0
    if options.output == "json":
        raise UsageError("--watch is for people; programs ask again", subject="munbon-gate status")
    while True:
        try:
            text = status_text(as_answer(ask(socket, GateOperation.STATUS), GateStatus), terminal_width())
        except Retryable as error:
            text = f"{error}\n"  # the gate may be restarting: go on watching
        sys.stdout.write((_HOME_AND_CLEAR if sys.stdout.isatty() else "") + text)
        sys.stdout.flush()
        pause(WATCH_S)


def _alarms(options: argparse.Namespace) -> int:
    status = as_answer(ask(find_socket(options), GateOperation.STATUS), GateStatus)
    write_out(options, {"alarms": [alarm.to_json() for alarm in status.alarm_table]}, alarms_text(status, terminal_width()))
    return 0


def _history(options: argparse.Namespace) -> int:
    socket, until = find_socket(options), SystemClock().wall()
    status = as_answer(ask(socket, GateOperation.STATUS), GateStatus)
    if options.gate not in status.gates:
        known = ", ".join(sorted(status.gates))
        raise UsageError(f"gate {options.gate} is not at site {status.site}; it has {known}", subject="munbon-gate history")
    found: GateHistory = read_history(
        lambda after, limit: ask(socket, GateOperation.JOURNAL_READ, {"after": after, "limit": limit, "wait_s": 0}),
        options.gate,
        options.since,
        until,
    )
    braille = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    write_out(options, found.to_json(), history_text(found, until - timedelta(seconds=options.since), until, braille=braille))
    return 0


def pause(delay_s: float) -> None:
    """Wait; an interrupt ends it."""
    threading.Event().wait(delay_s)
