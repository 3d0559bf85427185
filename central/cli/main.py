"""`munbon`: the tree of commands, and the one place that turns errors into a line and an exit code."""

from __future__ import annotations

import io
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Annotated

import typer

from central.cli import apps, events, exits, gate_acts, gate_history, gates, login, nodes, release, rollout, status
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, ReaderGone, out, print_json, printable
from central.cli.session import choose_context
from shared.errors import ContractError, MunbonError

HELP = """Munbon delivers signed releases to K3s nodes at canal gates, and shows the gates.

Example: munbon login http://central:7480 --token-file token --key op.key

Example: munbon release publish ui.yaml --app gate-ui --version 1.0.0

Example: munbon rollout start gate-ui@1.0.0 -l canal=main --wait

Exit codes: 0 ok, 1 failed or declined, 2 wrong usage or bad input, 3 refused by central, 4 not found, 5 central unreachable,
6 not authorised, 7 rollout failed (--wait), 8 timed out (--wait), 130 interrupted.
"""

app = typer.Typer(
    name="munbon",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("login", epilog="Example: munbon login http://central:7480 --token-file token --key ~/.munbon/operator.key")(login.login)
app.add_typer(login.contexts, name="context")
app.add_typer(release.app, name="release")
app.add_typer(rollout.app, name="rollout")
app.command("rollback", epilog="Example: munbon rollback gate-ui --wait\n\nExample: munbon rollback gate-ui --to 1.0.0")(rollout.rollback)
app.add_typer(apps.app, name="app")
app.add_typer(nodes.app, name="node")
app.command("status", epilog="Example: munbon status\n\nExample: munbon status --watch\n\nExample: munbon status -o json")(status.status)
app.command("events", epilog="Example: munbon events pi-north --follow\n\nExample: munbon events pi-north --type ReleaseFailed -o json")(
    events.events
)
app.add_typer(gates.app, name="gate")
gate_acts.register(gates.app, gates.plans)
gate_history.register(gates.app)


@app.command("version", epilog="Example: munbon version")
def show_version(output: OutputOption = Format.TABLE) -> None:
    """The version of this command."""
    if output is Format.JSON:
        print_json({"version": _version()})
    else:
        out.print(_version(), markup=False)


@app.callback()
def _options(
    context: Annotated[str, typer.Option("--context", help="Use this context instead of the current one.", envvar="MUNBON_CONTEXT")] = "",
) -> None:
    choose_context(context)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows question marks, not an error
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Exit code of one run; errors are one line on standard error, or a JSON object with `-o json`."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result = app(args=words, prog_name="munbon", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here a reader that has gone, or a full disk, can still be told
        return result if isinstance(result, int) else exits.OK
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted; what was asked of central goes on there", exits.INTERRUPTED, words)
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "")
        return _complain(error.format_message() + (f" (see '{command} --help')" if command else ""), exits.USAGE, words)
    except CliError as error:
        return _complain(str(error), error.exit_code, words, error.code, error.remedy)
    except ContractError as error:
        return _complain(str(error), exits.USAGE, words, error.code, error.remedy)
    except MunbonError as error:
        return _complain(str(error), error.exit_code, words, getattr(error, "code", ""), error.remedy)
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return exits.OK  # typer's own way to end when nobody reads its help
    except (ReaderGone, BrokenPipeError):
        _drop_output()  # the reader (head, less) has gone: not our error
        return exits.OK
    except OSError as error:
        _drop_output()
        return _complain(f"{error.filename or 'standard output'}: {error.strerror or error}", exits.FAILED, words)
    except Exception as error:  # the outermost guard: a user never sees a traceback
        if os.environ.get("MUNBON_DEBUG"):
            raise
        return _complain(f"internal error: {type(error).__name__}: {error} (set MUNBON_DEBUG=1 for details)", exits.FAILED, words)


def _drop_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter does not complain at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, exit_code: int, words: list[str], code: str = "", remedy: str = "") -> int:
    if sys.stderr is None:
        return exit_code
    if _wants_json(words):
        sys.stderr.write(json.dumps({"error": {"code": code, "message": message, "remedy": remedy, "exit_code": exit_code}}) + "\n")
    else:
        told = "\n".join(printable(part) for part in message.split("\n"))
        sys.stderr.write(f"{told}\n" if told.startswith("munbon") else f"munbon: {told}\n")
    return exit_code


def _wants_json(words: list[str]) -> bool:
    pairs = any(pair in (("-o", "json"), ("--output", "json")) for pair in pairwise(words))
    return pairs or "--output=json" in words or "-ojson" in words


def _version() -> str:
    try:
        return version("munbon")
    except PackageNotFoundError:
        return "0+unknown"
