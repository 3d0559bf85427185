"""The commands of `munbon-gate`: each file `cli_*.py` adds its own. Here: one line for an error, and the exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.gate_control.check.finding import Finding
from edge_agent.gate_control.console.cli_options import DEFAULT_CONFIG, Commands
from edge_agent.gate_control.console.site_commands import add_check, add_tune
from edge_agent.gate_control.model.configuration import SiteConfiguration
from shared.errors import MunbonError

RunSite = Callable[[SiteConfiguration, Path, Sequence[Finding]], int]
AddCommands = Callable[[Commands], None]
EXIT_CODES = """exit codes: 0 done, 1 failed, 2 wrong input (nothing was asked of the gate), 3 refused by the gate, 5 the gate does not
answer, 6 your role does not allow it, 130 interrupted"""


def run_command(arguments: Sequence[str] | None, run_site: RunSite, more: Sequence[AddCommands] = (), *, is_run: bool = False) -> int:
    """Exit code of one command, as `EXIT_CODES` lists them.

    `run_site` controls a site until stopped; it is given its settings, the folder where their relative paths start, and what
    `check` holds against them. `more` adds the commands of folders that this one does not know. `is_run`: the command is
    `run`, and no other is loaded.
    """
    parser = _run_parser(run_site) if is_run else make_parser(run_site, more)
    options = parser.parse_args(arguments)
    try:
        handler: Callable[[argparse.Namespace], int] = options.handler
        return handler(options)
    except MunbonError as error:
        sys.stderr.write(f"munbon-gate: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except (ArithmeticError, ValueError, LookupError, TypeError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _reader_has_gone()
        if options.command == "run":
            raise  # systemd's log wants all of it
        sys.stderr.write(f"munbon-gate: a fault of ours, please report it: {options.command}: {type(error).__name__}: {error}\n")
        return 1


def _reader_has_gone() -> int:
    """`head` or `less` was closed: not our error; the interpreter must not complain at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def make_parser(run_site: RunSite, more: Sequence[AddCommands] = ()) -> argparse.ArgumentParser:
    """All commands and their options."""
    # only now: the process that controls stays light without what asks it
    from edge_agent.gate_control.console import cli_act, cli_plan, cli_show

    parser, commands = _begin()
    _add_run(commands, run_site)
    add_check(commands)
    add_tune(commands)
    for module in (cli_show, cli_act, cli_plan):
        module.add_commands(commands)
    for add in more:
        add(commands)
    return parser


def _run_parser(run_site: RunSite) -> argparse.ArgumentParser:
    parser, commands = _begin()
    _add_run(commands, run_site)
    return parser


def _begin() -> tuple[argparse.ArgumentParser, Commands]:
    parser = argparse.ArgumentParser(prog="munbon-gate", description="Gate control of one site.", epilog=EXIT_CODES)
    return parser, parser.add_subparsers(dest="command", required=True, metavar="COMMAND")


def _add_run(commands: Commands, run_site: RunSite) -> None:
    run = commands.add_parser("run", help="scan and control until stopped")
    run.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"configuration (default {DEFAULT_CONFIG})")
    run.set_defaults(handler=lambda options: _run(options, run_site))


def _run(options: argparse.Namespace, run_site: RunSite) -> int:
    """A site that hangs together is run, with the mistakes that `check` would name: after a reboot control must go on."""
    # only here: the commands that ask a running gate stay light without it
    from edge_agent.gate_control.console.read_apart import read_apart

    site, findings = read_apart(options.config)
    return run_site(site, options.config.resolve().parent, findings)
