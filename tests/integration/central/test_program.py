"""`munbon-central` as a process: init, serve, signals, ports, locks, tokens."""

import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from deploy.harness.processes import Child, program, run_program, wait_until
from tests.fixtures_central import init_central, reaper, running_central

CENTRAL = program("munbon-central")


async def run(*words: str) -> tuple[int, str, str]:
    return await run_program([*CENTRAL, *words])


async def test_init_makes_everything_for_the_owners_eyes_only_and_says_what_to_do_next(tmp_path: Path) -> None:
    code, output, _ = await run("init", "--state-dir", str(tmp_path / "c"), "--fleet", "khlong")
    assert code == 0
    for word in ("munbon-central serve", "munbon login", "operator.key"):
        assert word in output
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "c").rglob("*")}
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert {modes[name] for name in ("central.key", "operator.key", "token", "central.toml")} == {0o600}
    code, output, _ = await run("check", "--state-dir", str(tmp_path / "c"))
    assert code == 0
    assert "khlong" in output


async def test_init_never_overwrites(tmp_path: Path) -> None:
    await run("init", "--state-dir", str(tmp_path / "c"))
    before = {path: path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file()}
    code, _, errors = await run("init", "--state-dir", str(tmp_path / "c"))
    assert code == 2
    assert "initialised already" in errors
    assert {path: path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file()} == before
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "photo.jpg").touch()
    code, _, errors = await run("init", "--state-dir", str(tmp_path / "d"))
    assert (code, "photo.jpg" in errors) == (2, True)
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["serve"], 2, "munbon-central init"),
        (["check"], 2, "munbon-central init"),
        (["init", "--listen", "nonsense"], 2, "HOST:PORT"),
        (["init", "--fleet", "Big Fleet"], 2, "fleet"),
        (["init", "--database-url", "mysql://x/y"], 2, "postgresql://"),
        (["init", "--database-url", "postgresql://nobody@127.0.0.1:1/x"], 4, "cannot be used"),
    ],
)
async def test_what_a_user_can_mend_is_one_line_and_an_exit_code(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    got, _, errors = await run(*words, "--state-dir", str(tmp_path / "c"))
    assert got == code, errors
    assert said in errors
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1


async def test_a_damaged_configuration_names_file_and_key(tmp_path: Path) -> None:
    await run("init", "--state-dir", str(tmp_path / "c"))
    (tmp_path / "c" / "central.toml").write_text('lisen = "127.0.0.1:1"\n')
    code, _, errors = await run("serve", "--state-dir", str(tmp_path / "c"))
    assert code == 2
    assert "central.toml" in errors
    assert "lisen" in errors


def _damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)


def _from_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


@pytest.mark.parametrize(
    ("harm", "said", "remedy"),
    [
        (lambda path: path.write_bytes(b"this is no database" * 100), "central.sqlite: cannot be read", "restore a copy"),
        (_damage_pages, "central.sqlite: cannot be read", "restore a copy"),
        (lambda path: path.write_bytes(b""), "central.sqlite: holds no fleet", "restore a copy"),
        (lambda path: path.unlink(), "central.sqlite: is missing", "restore a copy"),
        (_from_the_future, "9999", "newer munbon-central"),
    ],
    ids=["garbage", "damaged pages", "emptied", "missing", "of a newer version"],
)
async def test_a_database_that_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, harm: Callable[[Path], object], said: str, remedy: str
) -> None:
    folder = tmp_path / "c"
    await run("init", "--state-dir", str(folder))
    for name in ("central.sqlite-wal", "central.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    harm(folder / "central.sqlite")
    for command in ("serve", "check"):
        code, _, errors = await run(command, "--state-dir", str(folder))
        assert (code, len(errors.strip().splitlines())) == (4, 1), errors
        assert said in errors
        assert remedy in errors
    assert not list(folder.glob("nats/*.pid")), "nothing was started"


async def test_a_missing_database_is_not_made_anew(tmp_path: Path) -> None:
    """A new one would know no node and no release, and would stand where the copy is to be put back."""
    folder = tmp_path / "c"
    await run("init", "--state-dir", str(folder))
    (folder / "central.sqlite").unlink()
    for words in (["serve"], ["check"], ["token", "list"]):
        command, *rest = words
        code, _, errors = await run(command, "--state-dir", str(folder), *rest)
        assert code == 4, errors
    assert not (folder / "central.sqlite").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("keys/central.key", None, "is missing"),
        ("keys/central.key", b"nonsense", "no unencrypted PKCS#8 PEM key"),
        ("trust-root.json", None, "is missing"),
        ("trust-root.json", b"nonsense", "is not valid JSON"),
        ("keys/central.key", "dev-operator/operator.key", "not listed for role"),
    ],
)
async def test_keys_are_looked_at_before_anything_is_started(tmp_path: Path, name: str, content: bytes | str | None, said: str) -> None:
    folder = tmp_path / "c"
    await run("init", "--state-dir", str(folder))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / content).read_bytes() if isinstance(content, str) else content)
    for command in ("serve", "check"):
        code, _, errors = await run(command, "--state-dir", str(folder))
        assert (code, len(errors.strip().splitlines())) == (2, 1), errors
        for word in (name, said, "restore"):
            assert word in errors
        assert "init" not in errors, "init refuses a folder that is initialised: no remedy"
    assert not (folder / "nats").exists()


@pytest.mark.parametrize("option", ["--listen", "--nats-listen"])
async def test_an_address_that_is_not_of_this_machine_names_the_option(tmp_path: Path, option: str) -> None:
    await init_central(tmp_path / "c")
    code, _, errors = await run("serve", "--state-dir", str(tmp_path / "c"), option, "203.0.113.7:7480")
    assert code == 2, errors
    for word in ("203.0.113.7:7480", "cannot listen there", f"choose another {option}"):
        assert word in errors
    assert "Traceback" not in errors


async def test_an_unreachable_postgres_is_named_without_its_password(tmp_path: Path) -> None:
    await init_central(tmp_path / "c")
    code, _, errors = await run("serve", "--state-dir", str(tmp_path / "c"), "--database-url", "postgresql://ana:secret@127.0.0.1:1/fleet")
    assert (code, len(errors.strip().splitlines())) == (4, 1), errors
    assert "postgresql://ana:***@127.0.0.1:1/fleet" in errors
    assert "secret" not in errors


@pytest.mark.parametrize("command", ["serve", "check", "init", "token"])
async def test_help_names_every_exit_code(command: str) -> None:
    _, output, _ = await run(command, "--help")
    codes = output.split("exit codes:")[1]
    assert [line.split()[0] for line in codes.splitlines() if line.strip()[:1].isdigit()] == ["0", "1", "2", "3", "4"]


@pytest.mark.nats
async def test_taken_ports_are_named_with_a_remedy_and_nothing_is_left_running(tmp_path: Path) -> None:
    state_dir = tmp_path / "central"
    async with reaper(state_dir):
        port, nats_port = await init_central(state_dir)
        for taken, option in ((port, "--listen"), (nats_port, "--nats-listen")):
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", taken))
                other.listen()
                code, _, errors = await run("serve", "--state-dir", str(state_dir))
            assert code == 3, errors
            assert f"127.0.0.1:{taken}" in errors
            assert option in errors
            assert "Traceback" not in errors
        assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _is_server_of(entry, state_dir)]


def _is_server_of(process: Path, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return b"nats-server" in words and str(folder).encode() in words


@pytest.mark.nats
async def test_two_centrals_never_share_one_folder(tmp_path: Path) -> None:
    async with running_central(tmp_path) as central:
        code, _, errors = await run(
            "serve", "--state-dir", str(central.state_dir), "--listen", "127.0.0.1:1", "--nats-listen", "127.0.0.1:2"
        )
        assert code == 2
        assert f"process {central.process.pid}" in errors


@pytest.mark.nats
async def test_a_signal_ends_it_cleanly_also_with_watchers_and_takes_its_nats_server_along(tmp_path: Path) -> None:
    async with running_central(tmp_path, nodes=["pi-1"]) as central:
        server = central.nats_pid
        async with central.client.stream("GET", "status/stream") as stream, central.client.stream("GET", "nodes/pi-1/events/stream"):
            assert stream.status_code == 200
            code = await central.stop()
        assert code == 0
        assert server is not None
        assert central.nats_pid is None
        assert "Traceback" not in central.process.read_log()


@pytest.mark.nats
async def test_after_a_kill_the_next_central_adopts_the_nats_server_and_keeps_everything(tmp_path: Path) -> None:
    async with running_central(tmp_path, nodes={"pi-1": {"canal": "north"}}) as central:
        server = central.nats_pid
        await central.kill()
        assert central.nats_pid == server
        await central.start()
        assert central.nats_pid == server
        assert (await central.get("nodes/pi-1"))["labels"] == {"canal": "north"}
        assert [line["action"] for line in await central.get("audit")] == ["fleet.initialised", "node.add"]


@pytest.mark.nats
async def test_a_nats_server_that_dies_is_started_again(tmp_path: Path) -> None:
    async with running_central(tmp_path) as central:
        server = central.nats_pid
        assert server is not None
        os.kill(server, 9)
        await central.process.wait_until(lambda: central.nats_pid not in (None, server), timeout_s=60, what="a new nats-server")
        await central.wait_ready()


@pytest.mark.nats
async def test_tokens_are_made_shown_once_and_revoked_while_central_runs(tmp_path: Path) -> None:
    async with running_central(tmp_path) as central:
        folder = str(central.state_dir)
        code, token, _ = await run("token", "--state-dir", folder, "create", "somchai")
        assert code == 0
        async with httpx.AsyncClient(
            base_url=central.url, headers={"Authorization": f"Bearer {token.strip()}"}, trust_env=False
        ) as somchai:
            assert (await somchai.get("/v1/whoami")).json()["actor"] == "somchai"
            await somchai.post("/v1/nodes", json={"node": "pi-1"})
            assert (await run("token", "--state-dir", folder, "revoke", "somchai"))[0] == 0
            assert (await somchai.get("/v1/whoami")).status_code == 401
        _, listed, _ = await run("token", "--state-dir", folder, "list")
        assert "somchai" in listed
        assert token.strip() not in listed
        actors = {line["action"]: line["actor"] for line in await central.get("audit")}
        assert actors["node.add"] == "somchai"
        assert actors["token.revoke"] == "munbon-central token"
        code, _, errors = await run("token", "--state-dir", folder, "create", "somchai")
        assert (code != 0, "taken" in errors) == (True, True)


@pytest.mark.nats
async def test_a_killed_test_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """A parent of its own runs central and is killed: central, its nats-server and the reaper all go."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from deploy.harness.central import running_central\n"
        "async def main():\n"
        "    async with running_central(Path(sys.argv[1])) as central:\n"
        "        print('ready', central.process.pid, central.nats_pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    parent = Child("parent", [sys.executable, str(script), str(tmp_path)], log=tmp_path / "parent.log", environment={"PYTHONPATH": root})
    await parent.start()
    await parent.wait_until(lambda: "ready" in parent.read_log(), timeout_s=60)
    ids = [int(word) for word in parent.read_log().split("ready", 1)[1].split()[:2]]
    await parent.kill()
    await wait_until(lambda: not any(Path("/proc", str(pid), "cmdline").exists() for pid in ids), timeout_s=20, what="both processes gone")
