"""The command line of `munbon-central`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from central.main import tasks
from central.main.serving import PortTaken, serve
from central.main.settings import CONFIG_FILE, DEFAULT_LISTEN, DEFAULT_NATS_LISTEN, CentralSettings
from central.store.errors import StoreDamaged, StoreEmpty, StoreTooNew, StoreUnavailable
from shared.errors import MunbonError, UsageError
from shared.settings import load_settings

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_PORT, EXIT_DATABASE = 0, 1, 2, 3, 4
ENVIRONMENT_PREFIX = "MUNBON_CENTRAL_"
STATE_DIR_VARIABLE = "MUNBON_CENTRAL_STATE_DIR"
DEFAULT_STATE_DIR = "/var/lib/munbon-central"
_EPILOG = """\
exit codes:
  0  ok
  1  failed; the message says why
  2  wrong usage or configuration; nothing was changed
  3  a port is taken: of the API, or of nats-server
  4  the database cannot be used: away, damaged, missing, or of a newer Munbon

Settings come from STATE_DIR/central.toml, then MUNBON_CENTRAL_LISTEN, MUNBON_CENTRAL_NATS__LISTEN and the like, then options."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point: what a user can mend is one line without a traceback, and the exit code says which kind it was."""
    options = _parser().parse_args(arguments)
    try:
        sys.exit(_run(options))
    except MunbonError as error:
        sys.exit(_complain(str(error), exit_code_of(error)))
    except OSError as error:
        sys.exit(_complain(f"{error.filename or 'system'}: {error.strerror or error}", EXIT_FAILED))
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted", EXIT_FAILED))


def exit_code_of(error: MunbonError) -> int:
    """Exit code of an error, as `--help` says."""
    if isinstance(error, PortTaken):
        return EXIT_PORT
    if isinstance(error, StoreUnavailable | StoreDamaged | StoreEmpty | StoreTooNew):
        return EXIT_DATABASE
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED


def read_settings(state_dir: Path, overrides: dict[str, str | None]) -> CentralSettings:
    """Settings of an initialised folder.

    Raises:
        UsageError: there are none, or one does not fit; names file and key.
    """
    tasks.check_initialised(state_dir)
    environment = {name: value for name, value in os.environ.items() if name != STATE_DIR_VARIABLE}
    return load_settings(CentralSettings, state_dir / CONFIG_FILE, environment=environment, prefix=ENVIRONMENT_PREFIX, overrides=overrides)


def _run(options: argparse.Namespace) -> int:
    state_dir = Path(options.state_dir)
    match options.command:
        case "init":
            return tasks.init(state_dir, _initial_settings(options))
        case "serve":
            overrides = {"listen": options.listen, "nats.listen": options.nats_listen, "nats.url": options.nats_url}
            settings = read_settings(state_dir, {**overrides, "database_url": options.database_url, "log_level": options.log_level})
            return serve(state_dir, settings)
        case "check":
            return tasks.check(state_dir, read_settings(state_dir, {}))
        case "token":
            return tasks.run_token(state_dir, read_settings(state_dir, {}), options.action, getattr(options, "name", ""))
        case _:
            return tasks.show_version()


def _initial_settings(options: argparse.Namespace) -> CentralSettings:
    overrides = {
        "fleet": options.fleet,
        "listen": options.listen,
        "nats.listen": options.nats_listen,
        "nats.advertise": options.nats_advertise,
        "database_url": options.database_url,
    }
    return load_settings(CentralSettings, None, overrides=overrides)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="munbon-central",
        description="Coordinator of Munbon: operator API, rollouts, and the bus to the nodes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    init = _command(commands, "init", "make a state folder: configuration, database, keys, a first token; never overwrites")
    init.add_argument("--fleet", metavar="NAME", help="name of the fleet (default: munbon)")
    init.add_argument("--listen", metavar="HOST:PORT", help=f"operator API (default: {DEFAULT_LISTEN})")
    init.add_argument("--nats-listen", metavar="HOST:PORT", help=f"where nodes connect (default: {DEFAULT_NATS_LISTEN})")
    init.add_argument("--nats-advertise", metavar="URL", help="URL that nodes are told, where it differs from --nats-listen")
    init.add_argument("--database-url", metavar="URL", help="PostgreSQL instead of SQLite: postgresql://user:password@host/name")
    run = _command(commands, "serve", "run central until SIGTERM or Ctrl-C")
    run.add_argument("--listen", metavar="HOST:PORT", help="operator API, instead of central.toml's")
    run.add_argument("--nats-listen", metavar="HOST:PORT", help="where nodes connect, instead of central.toml's")
    run.add_argument("--nats-url", metavar="URL", help="use this running nats-server instead of a child")
    run.add_argument("--database-url", metavar="URL", help="instead of central.toml's")
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="default: info")
    _command(commands, "check", "look at configuration, keys, database and audit without starting anything")
    token = _command(commands, "token", "named bearer tokens of the API; the name is the actor in the audit")
    actions = token.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a token and print it once")
    create.add_argument("name", metavar="NAME", help="a person or a system, for example somchai or ci; never used again after a revoke")
    actions.add_parser("list", help="names, and when they were made or revoked")
    revoke = actions.add_parser("revoke", help="end a token at once, also in a running central")
    revoke.add_argument("name", metavar="NAME")
    commands.add_parser("version", help="print the version").set_defaults(state_dir=DEFAULT_STATE_DIR)
    return parser


def _command(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = os.environ.get(STATE_DIR_VARIABLE, DEFAULT_STATE_DIR)
    parser.add_argument("-d", "--state-dir", metavar="FOLDER", default=default, help="configuration, keys, database (default: %(default)s)")
    return parser


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"munbon-central: {message}\n")
    return code
