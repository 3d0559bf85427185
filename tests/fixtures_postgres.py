"""A PostgreSQL server of the tests' own: from the installed programs, on a free port, in a folder that goes away.

It runs as an unprivileged user, for PostgreSQL refuses root, and ends with the test run, also when that is killed.
Where its programs are missing the tests that use it are skipped, with the reason and the one line that would change it.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.make.capabilities import POSTGRES_FOLDERS, postgres_lack

START_LIMIT_S = 60.0
_USER = "munbon_test"
# holds the read end of a pipe: when the test run ends, however it ends, the server is stopped and its folder removed
_KEEPER = """
folder=$PWD
exec 3<&0
"$@" </dev/null & server=$!
{ cat <&3 >/dev/null; kill -QUIT $server; } 2>/dev/null &
wait $server
cd / && rm -rf "$folder"
"""


def find_program(name: str) -> Path | None:
    """A server program of the newest installed version."""
    folders = sorted(Path(POSTGRES_FOLDERS).glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    found = [folder / name for folder in folders if (folder / name).exists()]
    on_path = shutil.which(name)
    return found[0] if found else Path(on_path) if on_path else None


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """URL of a fresh server's `postgres` database."""
    folder = Path(tempfile.mkdtemp(prefix="munbon-postgres-"))
    data, log = folder / "data", folder / "log"
    unprivileged = _unprivileged(folder)
    options = ["--auth=trust", f"--username={_USER}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    try:
        _run([*unprivileged, str(find_program("initdb")), "-D", str(data), *options])
        port = _free_port()
        keeper = [*unprivileged, "sh", "-c", _KEEPER, "sh"]
        server = _start([*keeper, str(find_program("postgres")), "-D", str(data)], port, folder, log)
        try:
            url = f"postgresql://{_USER}@127.0.0.1:{port}/postgres"
            _wait(url, server, log)
            yield url
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """URL of a new, empty database on the server; dropped at the end, with whatever is still connected."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield server_url.rsplit("/", 1)[0] + f"/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The session's server, started by the first test that asks for it."""
    if lack := postgres_lack():
        pytest.skip(f"{lack.missing}; {lack.remedy}")
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database for one test."""
    with fresh_database(postgres_url) as url:
        yield url


def _unprivileged(folder: Path) -> list[str]:
    """How to run a program as someone else than root; gives that user the folder."""
    if os.geteuid() != 0:
        return []
    for user in ("postgres", "nobody"):
        with contextlib.suppress(LookupError):
            shutil.chown(folder, user)
            folder.chmod(0o700)
            return ["runuser", "-u", user, "--"]
    pytest.skip("root, and no user postgres or nobody to run PostgreSQL as; run the tests as another user")


def _start(command: list[str], port: int, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off", "max_connections": 40}
    arguments = [item for key, value in options.items() for item in ("-c", f"{key}={value}")]
    with log.open("wb") as output:
        # a session of its own: Ctrl-C reaches the tests first, and they stop it
        return subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=folder, start_new_session=True
        )


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}") from error
        time.sleep(0.05)


def _stop(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise RuntimeError(f"{command[-1]}: {done.stderr[-2000:]}")
