"""Commands that run to their end: init, check, token, version."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from central.identity.keys import load_identity
from central.identity.secrets import new_token, token_digest
from central.main.settings import CentralSettings, parse_listen
from central.main.state_dir import Initialised, check_database_there, check_initialised, initialise
from central.store import audit, meta, nodes, tokens
from central.store.database import Database, Transaction
from shared.clock import SystemClock
from shared.contracts.base import format_utc
from shared.errors import UsageError

__all__ = ["central_version", "check", "check_initialised", "init", "run_token", "show_version"]

_TOKEN_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")


def central_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("munbon")
    except PackageNotFoundError:
        return "0+unknown"


def init(state_dir: Path, settings: CentralSettings) -> int:
    """`munbon-central init`: make the folder, say what to do next."""
    made = initialise(state_dir.absolute(), settings, SystemClock())
    _say(describe_next_steps(made))
    return 0


def describe_next_steps(made: Initialised) -> str:
    """What a person reads after `init`."""
    where, settings = made.state_dir, made.settings
    return f"""Made {where} for fleet {settings.fleet!r}.

Start central:
  munbon-central serve --state-dir {where}

On your laptop (development keys; move them there, central does not need them):
  munbon login http://{settings.listen} --token-file {made.operator_token} --key {made.operator_key}
  munbon node add pi-north -l site=north --output-dir pi-north

For production: a token for each person (munbon-central token create NAME), signing keys that never see this
host (put their public halves into {where}/trust-root.json), and TLS before the API where it leaves loopback."""


def check(state_dir: Path, settings: CentralSettings) -> int:
    """`munbon-central check`: everything that `serve` would stumble over, without starting anything."""
    parse_listen(settings.listen, name="listen")
    parse_listen(settings.nats.listen, name="nats.listen")
    _, trust = load_identity(state_dir)
    check_database_there(state_dir, settings)
    _say(f"configuration: good; trust root version {trust.version} with {len(trust.keys)} keys")
    database = Database.open(settings.database(state_dir))
    try:
        known, verdict, count = database.run_sync(lambda tx: (meta.read_meta(tx), audit.verify_audit(tx), len(nodes.list_nodes(tx))))
    finally:
        database.close_sync()
    _say(f"database: {database.name}, fleet {known.fleet!r}, epoch {known.epoch}, {count} node(s)")
    if not verdict.intact:
        sys.stderr.write(f"munbon-central: the audit was changed by hand: line {verdict.first_bad}: {verdict.reason}\n")
        return 1
    _say(f"audit: {verdict.lines} line(s), the chain holds")
    return 0


def run_token(state_dir: Path, settings: CentralSettings, action: str, name: str) -> int:
    """`munbon-central token create|list|revoke`: straight on the database, so that it works with central up or down."""
    check_database_there(state_dir, settings)
    database = Database.open(settings.database(state_dir))
    try:
        if action == "create":
            _say(create_token(database, name))
        elif action == "revoke":
            revoke_token(database, name)
            _say(f"token {name} is revoked")
        else:
            _say(list_tokens(database) or "there is no token")
    finally:
        database.close_sync()
    return 0


def create_token(database: Database, name: str) -> str:
    """A new token, shown once.

    Raises:
        UsageError: the name is not allowed.
        Conflict: it was used before.
    """
    if not _TOKEN_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not allowed", subject="token name", remedy="use 1 to 63 of a-z, 0-9, '.', '_', '@' and '-'")
    token, now = new_token(), SystemClock().wall()

    def create(tx: Transaction) -> None:
        tokens.add_token(tx, name, token_digest(token), now)
        audit.append_audit(tx, at=now, actor="munbon-central token", action="token.create", target=name)

    database.run_sync(create)
    return token


def revoke_token(database: Database, name: str) -> None:
    """End a token.

    Raises:
        NotFound: there is none of this name.
    """
    now = SystemClock().wall()

    def revoke(tx: Transaction) -> None:
        tokens.revoke_token(tx, name, now)
        audit.append_audit(tx, at=now, actor="munbon-central token", action="token.revoke", target=name)

    database.run_sync(revoke)


def list_tokens(database: Database) -> str:
    """One line a token."""
    return "\n".join(
        f"{record.name}  made {format_utc(record.created_at)}" + (f"  revoked {format_utc(record.revoked_at)}" if record.revoked_at else "")
        for record in database.run_sync(tokens.list_tokens)
    )


def show_version() -> int:
    """`munbon-central version`."""
    _say(f"munbon-central {central_version()}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
