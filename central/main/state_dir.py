"""The state folder: made once, owned by one central at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from central.identity.keys import OPERATOR_KEY, OPERATOR_TOKEN, make_development_identity
from central.main.settings import CONFIG_FILE, DATABASE_FILE, CentralSettings, parse_listen, render_config
from central.store import audit, meta, tokens
from central.store.database import Database, Transaction
from central.store.errors import EMPTY_REMEDY, StoreEmpty
from shared.clock import Clock
from shared.durable_file import write_atomic
from shared.errors import UsageError

LOCK_FILE = "central.lock"


@dataclass(frozen=True)
class Initialised:
    """What `init` made."""

    state_dir: Path
    settings: CentralSettings

    @property
    def operator_key(self) -> Path:
        """Development key: signs releases and gate plans."""
        return self.state_dir / OPERATOR_KEY

    @property
    def operator_token(self) -> Path:
        """File with the development token."""
        return self.state_dir / OPERATOR_TOKEN


def initialise(state_dir: Path, settings: CentralSettings, clock: Clock) -> Initialised:
    """Make a state folder with configuration, database, keys and a first token. The configuration is written last.

    Raises:
        UsageError: it was initialised before, or holds other files; nothing is overwritten.
        StoreUnavailable, StoreDamaged: the database cannot be used.
        OSError: the folder cannot be written.
    """
    parse_listen(settings.listen, name="listen")
    parse_listen(settings.nats.listen, name="nats.listen")
    _check_unused(state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    state_dir.chmod(0o700)
    database = Database.open(settings.database(state_dir))
    try:
        _check_unused_database(database)
        identity = make_development_identity(state_dir)
        now = clock.wall()

        def fill(tx: Transaction) -> None:
            meta.init_meta(tx, uuid4().hex, settings.fleet)
            tokens.add_token(tx, identity.operator_name, identity.operator_token_digest, now)
            audit.append_audit(tx, at=now, actor="munbon-central init", action="fleet.initialised", target=settings.fleet)

        database.run_sync(fill)
    finally:
        database.close_sync()
    write_atomic(state_dir / CONFIG_FILE, render_config(settings).encode(), mode=0o600)
    return Initialised(state_dir, settings)


@contextmanager
def hold_state_dir(state_dir: Path) -> Iterator[None]:
    """Be the only central of this folder; the kernel lets go of it when the process ends, however it ends.

    Raises:
        UsageError: another one runs on it, or it was not initialised.
    """
    check_initialised(state_dir)
    descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise UsageError(
                f"another munbon-central{f' (process {holder})' if holder else ''} runs on it",
                subject=str(state_dir),
                remedy="stop that one, or give this one its own --state-dir",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def check_initialised(state_dir: Path) -> None:
    """Raise unless `init` was done here.

    Raises:
        UsageError: it was not.
    """
    if not (state_dir / CONFIG_FILE).is_file():
        raise UsageError(
            "is no state folder of munbon-central",
            subject=str(state_dir),
            remedy=f"make it with: munbon-central init --state-dir {state_dir}",
        )


def check_database_there(state_dir: Path, settings: CentralSettings) -> None:
    """Raise where the folder's own database file is gone: a new one in its place would know no node and no release.

    Raises:
        StoreEmpty: it is.
    """
    path = state_dir / DATABASE_FILE
    if not settings.database_url and not path.exists():
        raise StoreEmpty("is missing; nothing was changed", subject=str(path), remedy=EMPTY_REMEDY)


def _check_unused_database(database: Database) -> None:
    def fleet(tx: Transaction) -> str | None:
        return meta.get_value(tx, "fleet")

    name = database.run_sync(fleet)
    if name is not None:
        raise UsageError(f"is in use by fleet {name!r}; nothing was changed", subject=database.name, remedy="give another --database-url")


def _check_unused(state_dir: Path) -> None:
    if not state_dir.exists():
        return
    if not state_dir.is_dir():
        raise UsageError("is no folder", subject=str(state_dir), remedy="choose another --state-dir")
    found = sorted(path.name for path in state_dir.iterdir())
    if CONFIG_FILE in found:
        raise UsageError(
            "is initialised already; nothing was changed", subject=str(state_dir), remedy="start it with: munbon-central serve"
        )
    if found:
        raise UsageError(
            f"holds {', '.join(found[:5])}{' and more' if len(found) > 5 else ''}; nothing was changed",
            subject=str(state_dir),
            remedy="choose an empty folder, or remove what an init that failed has left",
        )
