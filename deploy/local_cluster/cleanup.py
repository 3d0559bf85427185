"""Removes all that a cluster made, from its record alone: after a clean end, and after a run that was killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import time
from pathlib import Path

from deploy.local_cluster import cgroups, kernel_settings, network
from deploy.local_cluster.records import Record, is_alive, read_records, records_lock

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2
_GONE_S = 10.0
_POLL_S = 0.02


def clean_up_stale() -> list[str]:
    """Remove what belongs to owners that died; gives the names of those clusters. A repeat, or two at once, are safe."""
    with records_lock():
        stale = [record for record in read_records() if not record.owner_lives() and _may_remove(record)]
        for record in stale:
            tear_down(record)
    return [record.instance for record in stale]


def tear_down(record: Record) -> list[str]:
    """Remove all of one cluster, its record last; gives what is left, in words. A repeat is safe.

    Where something is left, the record stays too, so that the next start tries again.
    """
    for process in record.processes:
        if is_alive(process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
    _await_gone(record)
    if record.cgroup:
        cgroups.kill_all(record.cgroup)
    unmount_below(Path(record.state_dir))
    network.remove(record.netns, record.link)
    if record.cgroup:
        cgroups.remove(record.cgroup)
    if record.removes_state:
        shutil.rmtree(record.state_dir, ignore_errors=True)
    left = leftovers(record)
    if not left:
        record.forget()
        if record.kind == "full_node":
            kernel_settings.restore_unless(lambda: any(each.kind == "full_node" for each in read_records()))
    return left


def leftovers(record: Record) -> list[str]:
    """What is still there of a cluster, in words."""
    found = [f"process {process.pid}" for process in record.processes if is_alive(process)]
    found += [f"mount {path}" for path in mounts_below(Path(record.state_dir))]
    if record.cgroup and cgroups.exists(record.cgroup):
        found.append(f"cgroup {record.cgroup}")
    if record.netns and network.exists(record.netns, record.link):
        found.append(f"network namespace {record.netns} or link {record.link}")
    if record.removes_state and Path(record.state_dir).exists():
        found.append(f"folder {record.state_dir}")
    return found


def mounts_below(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> list[str]:
    """Mount points at or below a folder, innermost first."""
    points = [_unescaped(line.split()[4]) for line in mountinfo.read_text().splitlines()]
    inside = [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]
    return sorted(inside, key=len, reverse=True)


def unmount_below(folder: Path) -> None:
    """Detach every mount at or below a folder; one that refuses is seen by `leftovers`."""
    for point in mounts_below(folder):
        _LIBC.umount2(point.encode(), _MNT_DETACH)


def _may_remove(record: Record) -> bool:
    """A full node's parts can be removed by root alone; a user's run leaves them to the next run of root."""
    return record.kind == "control_plane" or os.geteuid() == 0


def _await_gone(record: Record) -> None:
    until_s = time.monotonic() + _GONE_S
    while any(is_alive(process) for process in record.processes) and time.monotonic() < until_s:
        time.sleep(_POLL_S)


def _unescaped(text: str) -> str:
    """Mountinfo writes blanks and backslashes as octal."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape") if "\\" in text else text
