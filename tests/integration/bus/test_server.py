"""nats-server as central's companion: started, adopted, restarted, refused."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from central.bus import PortTaken, monitor
from central.bus.process import find_binary
from shared.errors import UsageError
from tests.fixtures_bus import until
from tests.fixtures_nats import NatsHandle, hashes_of, make_server, running_nats

pytestmark = pytest.mark.nats

# a central that starts its server and is then killed like one that lost its power
_PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.fixtures_nats import make_server

async def main():
    server = make_server(Path(sys.argv[1]), port=int(sys.argv[2]), nodes=["n1"])
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_server_that_outlives_a_killed_central_is_adopted_with_all_it_holds(tmp_path: Path) -> None:
    port = monitor.pick_free_port()
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path), str(port)], stdout=subprocess.PIPE, cwd=Path.cwd())
    server = make_server(tmp_path, port=port, nodes=["n1", "n2"])
    handle = NatsHandle(server, tmp_path, port)
    try:
        pid = await asyncio.to_thread(_read_pid, parent)
        # its settings are on disk already: a node may connect before and after
        async with handle.node_session("n1") as node:
            parent.kill()
            parent.wait()
            await server.start()
            assert server.is_adopted
            assert server.pid == pid
            assert node.is_healthy, "adopting disturbs nobody"
        async with handle.central_bus() as central, handle.node_session("n2"):
            assert await central.put_desired("n2", b"x") == 1
        await server.stop()
        assert not server.is_running
        assert not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    finally:
        parent.kill()
        parent.communicate()
        await server.stop()


def _read_pid(parent: "subprocess.Popen[bytes]") -> int:
    """The first line that is a number: the rest is its log."""
    assert parent.stdout is not None
    return next(int(line) for line in parent.stdout if line.strip().isdigit())


async def test_a_foreign_server_on_the_port_is_named_and_left_alone(tmp_path: Path) -> None:
    port = monitor.pick_free_port()
    foreign = subprocess.Popen(
        [str(find_binary()), "-a", "127.0.0.1", "-p", str(port), "-n", "somebody-else"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        async def described() -> str:
            return await monitor.describe_listener("127.0.0.1", port)

        await until(described, bool, "foreign server up")
        server = make_server(tmp_path, port=port)
        with pytest.raises(PortTaken, match=r"port taken by another nats-server \(name 'somebody-else'"):
            await server.start()
        server.release()
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


async def test_another_program_on_the_port_is_said_to_be_one(tmp_path: Path) -> None:
    async def say_hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(say_hello, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server = make_server(tmp_path, port=port)
        with pytest.raises(PortTaken, match="port taken by another program"):
            await server.start()
        server.release()


async def test_a_pid_file_that_names_a_foreign_process_harms_nobody(tmp_path: Path) -> None:
    async with running_nats(["n1"], folder=tmp_path):
        pass
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        (tmp_path / "nats" / "nats-server.pid").write_text(str(sleeper.pid))
        async with running_nats(["n1"], folder=tmp_path) as handle:
            assert not handle.server.is_adopted
            assert handle.server.pid != sleeper.pid
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


async def test_two_centrals_do_not_share_a_folder(tmp_path: Path) -> None:
    async with running_nats(["n1"], folder=tmp_path) as handle:
        second = make_server(handle.folder, port=monitor.pick_free_port())
        with pytest.raises(UsageError, match="another munbon-central uses this folder"):
            await second.start()
        assert handle.server.is_running


async def test_a_server_that_dies_is_started_again_with_what_it_held(tmp_path: Path) -> None:
    async with running_nats(["n1"], folder=tmp_path) as handle:
        async with handle.central_bus() as central:
            await central.put_desired("n1", b"kept")
        supervising = asyncio.create_task(handle.server.run())
        first = handle.server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)

        async def pid() -> int | None:
            return handle.server.pid if handle.server.restarts else None

        assert await until(pid, lambda found: found not in (None, first), "restarted") != first
        async with handle.node_session("n1") as node:
            entry = await until(lambda: node.get_desired("n1"), lambda found: found is not None, "own key after the restart")
            assert entry is not None
            assert entry.body == b"kept"
        supervising.cancel()


async def test_a_changed_listen_address_replaces_the_server_of_the_earlier_start(tmp_path: Path) -> None:
    first = make_server(tmp_path, port=monitor.pick_free_port(), nodes=["n1"])
    await first.start()
    first.release()
    second = make_server(tmp_path, port=monitor.pick_free_port(), nodes=["n1"])
    try:
        await second.start()
        assert not second.is_adopted
        assert second.pid != first.pid
        assert not await monitor.describe_listener("127.0.0.1", int(first.url.rpartition(":")[2]))
    finally:
        await second.stop()
        await first.stop()


async def test_files_with_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    async with running_nats(["n1"], folder=tmp_path) as handle:
        await handle.server.set_nodes(hashes_of(["n1", "n2"]))
        for name in ("nats-server.conf", "central.password"):
            assert (handle.folder / name).stat().st_mode & 0o077 == 0, name


async def test_central_keeps_its_password_over_restarts_and_nodes_keep_theirs_hashed(tmp_path: Path) -> None:
    async with running_nats(["n1"], folder=tmp_path) as handle:
        first = handle.central()
        assert "secret-of-n1" not in (handle.folder / "nats-server.conf").read_text()
    async with running_nats(["n1"], folder=tmp_path) as handle:
        assert handle.central().password == first.password
