"""Writes docs/reference/gate-console.md from the commands of `munbon-gate`: `python -m deploy.gate_cli_docs [--check]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.pages import write_or_check
from edge_agent.gate_control.console.cli import make_parser
from edge_agent.gate_control.main import more_commands

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "gate-console.md"
HEAD = """<!-- written by `python -m deploy.gate_cli_docs`; edit that file, or the help texts in edge_agent/gate_control/console -->

# The local console: `munbon-gate` and `gate.sock`

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong input: nothing was asked of the gate |
| 3 | refused by the gate; the line says why |
| 4 | `replay`, `shadow`: something was decided otherwise; `update`: went back to the old version |
| 5 | the gate does not answer, or not now; whether a lost command was carried out, `munbon-gate status` shows |
| 6 | your role does not allow it |
| 130 | interrupted |

Every command that asks the gate takes `--socket` (else `MUNBON_GATE_SOCKET`, else what `--config` names) and `-o json`: one JSON
document on standard output.

## Who may do what

The kernel says who calls (peer credentials); `console_roles` of `site.yaml` gives users a role. Root and the gate's own user maintain.

| role | may |
|---|---|
| viewer | `status`, `alarms`, `history`, `plan show`; hand over what others signed (so the agent needs no more) |
| operator | also `mode`, `move`, `stop`, `service`, `ack`, `shelve`, `reset-trip`, `tagout set`, `owner`, `arm`, `plan set` |
| maintainer | also `tagout clear` and `confirm`, `commission`, `plan release` |

What a person does at the console makes the console the gate's *owner*: central's commands are then refused (`NotOwner`), a stop
excepted, until somebody runs `munbon-gate owner GATE release`. A tagout is set and cleared at the site alone. Clearing takes two
steps by the same person: the first gives a code, the second gives it back within 60 s.

## The way of a command from afar

    munbon gate move   ->  laptop: signs a GateCommand with the operator's key (id, site, gate, verb, good for 60 s)
    central            ->  checks the signature, writes the audit, carries it; offline means refused now, nothing is kept
    agent              ->  hands it to gate.sock (`command.run`); it can neither make nor change one
    gate               ->  checks the signature by its own trust root, site, gate, expiry; notes the id on disk; wakes the scan
    scan               ->  senses, carries it out on the modes, decides by the order of authority, writes to the actuator, answers

- The keys are those of role `gate_command` in `gate-trust-root.json`; where that role is missing, those of `gate_plan`. Neither
  central nor the agent can write that file, and central's own key is in none of these roles: central alone cannot move a gate.
- Each id is carried out once, over restarts too: a repeat gets the same answer (`repeated`), the same id for something else is
  refused (`Replayed`). Where the process ended in between, a repeat says `Interrupted` and nothing is done.
- The id is on the disk before anything moves. A disk that hangs delays a command by half a second at most; the gate then
  remembers the id in memory and raises `commands_not_saved`.
- A command must fit the gate's clock within two minutes. Where that clock was not set since the start and does not fit, `stop`
  and `ack` are taken all the same, the rest is refused (`ClockNotSet`).
- *Accepted* means: the modes changed. What the gate does now, or what holds it (an interlock, a limit, the drawdown), stands in the answer.

| code | meaning |
|---|---|
| `SignatureInvalid` | not signed by a key that may command this gate |
| `WrongSite`, `UnknownGate` | not for here |
| `Expired`, `IssuedInFuture`, `ClockNotSet` | not for now; the line names both times |
| `Replayed` | the id was used for another command |
| `Interrupted` | it is not known whether it was carried out: look at the gate |
| `NotAllowed`, `AtSiteOnly`, `NotOwner` | not by this person, or not from there |
| `TaggedOut`, `OutOfService`, `Local`, `Tripped`, `Unhealthy`, `NotCommissioned` | the gate's own state forbids it |
| `WrongCode`, `NoFirstStep`, `WhichTag` | second step of a tagout |
| `NothingToDo`, `OutOfRange`, `UnknownAlarm` | it would change nothing, or lies outside what is possible |
| `Busy`, `Unavailable` | not now: nothing was done |
| `Failed` | the gate met an error of its own; its log has the rest |

## Commands

"""


def render() -> str:
    """The page as it should be."""
    return HEAD + "\n".join(_sections(make_parser(lambda _site, _folder, _findings: 0, more_commands()), "munbon-gate")).rstrip() + "\n"


def _sections(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        words = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for word, command in action.choices.items():
            full = f"{name} {word}"
            if any(isinstance(each, argparse._SubParsersAction) for each in command._actions):
                yield from _sections(command, full)
                continue
            yield f"### {full}"
            yield ""
            yield f"{_sentence(words.get(word, ''))}"
            yield ""
            yield from _arguments(command)


def _arguments(command: argparse.ArgumentParser) -> Iterator[str]:
    every = {action.dest for action in command._actions}
    left_out = {"help", "socket", "config", "output"} if "socket" in every else {"help"}
    rows = [(_name(action), action.help or "") for action in command._actions if action.dest not in left_out]
    if rows:
        yield "| argument | |"
        yield "|---|---|"
        yield from (f"| `{name}` | {text} |" for name, text in rows)
        yield ""


def _name(action: argparse.Action) -> str:
    choices = "\\|".join(str(choice) for choice in action.choices) if action.choices else ""
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {choices or (action.metavar or action.dest.upper())}"
        return ", ".join(action.option_strings) + value
    name = choices or str(action.metavar or action.dest.upper())
    return f"[{name}]" if action.nargs in ("?", "*") else name


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")


def main() -> int:
    """Write, or compare with `--check`; 1 when it is out of date."""
    return write_or_check(TARGET, render(), "python -m deploy.gate_cli_docs")


if __name__ == "__main__":
    sys.exit(main())
