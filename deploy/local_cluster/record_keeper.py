"""Opens the record of a cluster before anything of it is made, and keeps it up to date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deploy.local_cluster import network, records
from deploy.local_cluster.folders import states_folder
from deploy.local_cluster.records import Kind, NoneFree, ProcessId, Record
from shared.errors import UsageError

# Linux allows 107 bytes for the path of a unix socket
_LONGEST_STATE = 107 - len("/kine.sock")


class RecordKeeper:
    """The newest state of one record, to which processes are added as they start."""

    def __init__(self, record: Record) -> None:
        self.record = record

    @classmethod
    def open(cls, kind: Kind, name: str, state_dir: Path | None) -> RecordKeeper:
        """Choose port and names that nobody uses, write them down, and make the state folder.

        Raises:
            UsageError: the path of the state folder is too long for a socket in it.
            NoneFree: no port or no address range is left.
        """
        instance = records.unused_instance(name)
        folder = state_dir.resolve() if state_dir else states_folder() / instance
        if len(str(folder)) > _LONGEST_STATE:
            message = f"longer than {_LONGEST_STATE} bytes: no socket fits in it"
            raise UsageError(message, subject=str(folder), remedy="choose a shorter state_dir")
        with records.records_lock():
            others = records.read_records()
            record = Record(
                instance,
                name,
                kind,
                records.this_process(),
                records.boot_id(),
                str(folder),
                removes_state=state_dir is None,
                port=records.unused_port(others),
            )
            if kind == "full_node":
                slot = _unused_slot(others)
                link = f"{network.LINK_PREFIX}{records.suffix(instance)}"
                record = replace(record, slot=slot, netns=f"munbon-{instance}", link=link, cgroup=f"munbon-{instance}")
            record.save()
        folder.mkdir(parents=True, exist_ok=True)
        return cls(record)

    def add_process(self, pid: int) -> None:
        """Note a process on disk; those that ended are dropped."""
        alive: tuple[ProcessId, ...] = tuple(each for each in self.record.processes if records.is_alive(each))
        self.record = replace(self.record, processes=alive).with_process(records.identify(pid))


def _unused_slot(others: list[Record]) -> int:
    taken = {record.slot for record in others}
    free = next((slot for slot in range(network.SLOTS) if slot not in taken), None)
    if free is not None:
        return free
    raise NoneFree(f"{network.SLOTS} nodes run already", subject="local cluster", remedy="python -m deploy.local_cluster down")
