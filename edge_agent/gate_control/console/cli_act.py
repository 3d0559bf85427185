"""`munbon-gate mode|move|stop|service|ack|shelve|unshelve|reset-trip|tagout|owner|arm|commission`: people at the site act."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from edge_agent.gate_control.console.cli_options import Commands, add_asking, duration_s, find_socket, write_out
from edge_agent.gate_control.console.client import act, as_answer
from edge_agent.gate_control.console.render import answer_text
from shared.contracts.codec import validate
from shared.contracts.gate_command import CommandView, GateAction, GateVerb
from shared.contracts.gate_socket import SiteAction, SiteVerb
from shared.errors import Malformed, UsageError


def add_commands(commands: Commands) -> None:
    """Register the commands of this file."""
    _add_moves(commands)
    _add_alarms(commands)
    _add_site(commands)


def send(options: argparse.Namespace, action: GateAction | SiteAction, *, note: str = "") -> CommandView:
    """The gate's answer; refused, it is raised as an error.

    Raises:
        Retryable: the gate does not answer.
        GateSaidNo: it refused.
    """
    params = action.to_json() | ({"note": note} if note else {})
    return as_answer(act(find_socket(options), params), CommandView)


def _add_moves(commands: Commands) -> None:
    mode = _command(commands, "mode", "give a gate to its controller (auto), or to people (manual)")
    mode.add_argument("gate")
    mode.add_argument("mode", choices=("auto", "manual"))
    mode.set_defaults(handler=lambda options: _gate_act(options, GateVerb.MODE, mode=options.mode))
    move = _command(commands, "move", "move a gate by hand; it stays in manual after that")
    move.add_argument("gate")
    move.add_argument("opening_pct", type=float, help="0 = least flow, 100 = most")
    move.add_argument("--for", dest="expires_after_s", type=duration_s, default=600.0, help="give up the motion after this (default 10m)")
    move.set_defaults(
        handler=lambda options: _gate_act(options, GateVerb.MOVE, opening_pct=options.opening_pct, expires_after_s=options.expires_after_s)
    )
    stop = _command(commands, "stop", "stop a gate, or all: nothing moves, protection included, until auto, manual or move")
    stop.add_argument("gate", nargs="?", default="", help="leave out for all gates")
    stop.set_defaults(handler=lambda options: _gate_act(options, GateVerb.STOP))
    service = _command(commands, "service", "take a gate out of service, or back into it")
    service.add_argument("gate")
    service.add_argument("service", choices=("in", "out"))
    service.set_defaults(handler=lambda options: _gate_act(options, GateVerb.SERVICE, service=options.service))
    reset = _command(commands, "reset-trip", "let a gate that tripped (stuck, wrong way, ...) take commands again")
    reset.add_argument("gate")
    reset.set_defaults(handler=lambda options: _gate_act(options, GateVerb.RESET_TRIP))


def _add_alarms(commands: Commands) -> None:
    ack = _command(commands, "ack", "acknowledge one alarm, those of a gate, or all")
    ack.add_argument("gate", nargs="?", default="", help="leave out for all of the site")
    ack.add_argument("alarm", nargs="?", default="", help="leave out for all of the gate")
    ack.set_defaults(handler=lambda options: _gate_act(options, GateVerb.ACK, alarm=options.alarm))
    shelve = _command(commands, "shelve", "keep an alarm quiet for a while; urgent ones cannot be")
    shelve.add_argument("alarm", help="as `alarms` shows it: g1/level_high")
    shelve.add_argument("--for", dest="for_s", type=duration_s, default=3_600.0, help="how long (default 1h, at most 7d)")
    shelve.set_defaults(gate="", handler=lambda options: _gate_act(options, GateVerb.SHELVE, alarm=options.alarm, for_s=options.for_s))
    unshelve = _command(commands, "unshelve", "let a shelved alarm speak again")
    unshelve.add_argument("alarm")
    unshelve.set_defaults(gate="", handler=lambda options: _gate_act(options, GateVerb.UNSHELVE, alarm=options.alarm))


def _add_site(commands: Commands) -> None:
    tagout = commands.add_parser("tagout", help="tag a gate out for work at it: no command reaches it until all tags are off")
    steps = tagout.add_subparsers(dest="step", required=True)
    tag = _command(steps, "set", "hang your tag on a gate", with_note=False)
    tag.add_argument("gate")
    tag.add_argument("--note", default="", help="why; everybody sees it")
    tag.set_defaults(handler=lambda options: _site_act(options, SiteVerb.TAG, note=options.note))
    clear = _command(steps, "clear", "first step of taking a tag off: gives a code, good for a minute", with_note=False)
    clear.add_argument("gate")
    clear.add_argument("--holder", default="", help="whose tag, where more than one hangs")
    clear.set_defaults(handler=lambda options: _site_act(options, SiteVerb.TAG_CLEAR, holder=options.holder))
    confirm = _command(steps, "confirm", "second step: give the code back", with_note=False)
    confirm.add_argument("gate")
    confirm.add_argument("code")
    confirm.set_defaults(handler=lambda options: _site_act(options, SiteVerb.TAG_CONFIRM, code=options.code))
    owner = _command(commands, "owner", "whose commands count: claim for this console, or release to central", with_note=False)
    owner.add_argument("gate")
    owner.add_argument("change", choices=("claim", "release"))
    owner.set_defaults(handler=lambda options: _site_act(options, SiteVerb(f"owner_{options.change}")))
    for verb, words in (
        (SiteVerb.ARM, "let a gate act: new, or after its state was lost"),
        (SiteVerb.COMMISSION, "begin to set a gate up"),
    ):
        command = _command(commands, verb.value, words, with_note=False)
        command.add_argument("gate")
        command.set_defaults(verb=verb, handler=lambda options: _site_act(options, options.verb))


def _command(commands: Commands, name: str, words: str, *, with_note: bool = True) -> argparse.ArgumentParser:
    command = add_asking(commands.add_parser(name, help=words, description=words))
    if with_note:
        command.add_argument("--note", default="", help="why, for the journal")
    return command


def _gate_act(options: argparse.Namespace, verb: GateVerb, **params: Any) -> int:
    content = {"gate": options.gate, "verb": verb, "params": params}
    return _show(options, send(options, _checked(content, GateAction), note=options.note))


def _site_act(options: argparse.Namespace, verb: SiteVerb, **fields: str) -> int:
    return _show(options, send(options, _checked({"gate": options.gate, "verb": verb, **fields}, SiteAction)))


def _checked(content: dict[str, Any], model: type[GateAction] | type[SiteAction]) -> GateAction | SiteAction:
    try:
        return validate(content, model, subject="munbon-gate")
    except Malformed as error:
        raise UsageError(error.message, remedy="see --help of the command") from error


def _show(options: argparse.Namespace, view: CommandView) -> int:
    write_out(options, view.to_json(), answer_text(view))
    if view.repeated:
        sys.stderr.write("munbon-gate: it had been carried out before; nothing was done now\n")
    return 0
