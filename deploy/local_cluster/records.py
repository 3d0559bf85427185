"""Who owns which cluster, on disk before anything is made: what a killed run leaves behind can be found and removed.

A process is named by its pid and its start time, so that a pid used again is never taken for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from deploy.local_cluster.folders import records_folder
from shared.durable_file import write_atomic
from shared.errors import MunbonError

Kind = Literal["control_plane", "full_node"]
# Below the range that the kernel takes for outgoing connections: nobody steals the port while a server restarts
PORTS = range(21000, 29000)


class NoneFree(MunbonError):
    """No port or address range is left."""


@dataclass(frozen=True)
class ProcessId:
    """One process of one boot."""

    pid: int
    start_ticks: int


@dataclass(frozen=True)
class Record:
    """All that one cluster has made, or is about to make, on this machine."""

    instance: str
    name: str
    kind: Kind
    owner: ProcessId
    boot_id: str
    state_dir: str
    removes_state: bool
    port: int
    slot: int = -1
    netns: str = ""
    link: str = ""
    cgroup: str = ""
    processes: tuple[ProcessId, ...] = field(default=())

    @property
    def path(self) -> Path:
        """Its file."""
        return records_folder() / f"{self.instance}.json"

    def save(self) -> None:
        """Write it; a repeat is safe."""
        write_atomic(self.path, json.dumps(asdict(self), indent=1).encode())

    def with_process(self, process: ProcessId) -> Record:
        """The same with one process more, saved."""
        changed = replace(self, processes=(*self.processes, process))
        changed.save()
        return changed

    def forget(self) -> None:
        """Remove the file: nothing of it is left."""
        self.path.unlink(missing_ok=True)

    def owner_lives(self) -> bool:
        """Whether the process that made it still runs, in this boot."""
        return self.boot_id == boot_id() and is_alive(self.owner)


def read_records() -> list[Record]:
    """All records, oldest first; a file that is no record (a newer layout, a half disk) is skipped."""
    found = []
    for path in sorted(records_folder().glob("*.json"), key=_modified_s):
        try:
            found.append(_parse(json.loads(path.read_bytes())))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return found


@contextmanager
def records_lock() -> Iterator[None]:
    """One at a time on this machine chooses ports and slots, or cleans up."""
    with (records_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def this_process() -> ProcessId:
    """The process that runs this."""
    return identify(os.getpid())


def identify(pid: int) -> ProcessId:
    """Process id with start time; start time 0 where there is no such process."""
    return ProcessId(pid, start_ticks(pid) or 0)


def is_alive(process: ProcessId) -> bool:
    """Whether exactly this process runs; a zombie does not."""
    return process.start_ticks != 0 and start_ticks(process.pid) == process.start_ticks


def start_ticks(pid: int) -> int | None:
    """Start time in clock ticks since boot; None where it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def boot_id() -> str:
    """Identity of this boot: processes, namespaces and cgroups of another boot are gone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def unused_instance(name: str) -> str:
    """Name for a new cluster's resources; two of the same name may run at once."""
    return f"{name}-{secrets.token_hex(3)}"


def suffix(instance: str) -> str:
    """The part that tells clusters of one name apart; names of network links have no room for more."""
    return instance.rpartition("-")[2]


def unused_port(records: list[Record]) -> int:
    """A loopback port that neither a record nor anything else holds; the lock is held.

    Raises:
        NoneFree: all are taken.
    """
    taken = {record.port for record in records}
    start = secrets.randbelow(len(PORTS))
    for offset in range(len(PORTS)):
        port = PORTS[(start + offset) % len(PORTS)]
        if port not in taken and _can_bind(port):
            return port
    raise NoneFree(f"ports {PORTS.start}-{PORTS.stop} are all taken", subject="local cluster", remedy="stop what holds them")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _parse(data: dict[str, object]) -> Record:
    data["owner"] = ProcessId(**data["owner"])  # type: ignore[arg-type]
    data["processes"] = tuple(ProcessId(**each) for each in data["processes"])  # type: ignore[attr-defined]
    return Record(**data)  # type: ignore[arg-type]
