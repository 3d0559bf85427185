"""Kernel settings of the whole machine that a kubelet changes: noted before the first node, put back after the last."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local_cluster.folders import records_folder
from shared.durable_file import read_optional, write_atomic

CHANGED_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_SETTINGS = Path("/proc/sys")


def note(settings: Path = _SETTINGS) -> None:
    """Remember the values of now, unless those of an earlier node are still remembered. The node's record must be written before."""
    with _lock():
        if _file().exists():
            return
        values = {}
        for name in CHANGED_BY_KUBELET:
            with contextlib.suppress(OSError):
                values[name] = (settings / name).read_text().strip()
        write_atomic(_file(), json.dumps(values).encode())


def restore_unless(in_use: Callable[[], bool], settings: Path = _SETTINGS) -> None:
    """Put the remembered values back and forget them, unless a node still runs; a repeat is safe."""
    with _lock():
        content = read_optional(_file())
        if content is None or in_use():
            return
        for name, value in json.loads(content).items():
            with contextlib.suppress(OSError):
                if (settings / name).read_text().strip() != value:
                    (settings / name).write_text(value)
        _file().unlink(missing_ok=True)


@contextmanager
def _lock() -> Iterator[None]:
    with (records_folder() / "kernel-settings.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _file() -> Path:
    # Not *.json: it is no record
    return records_folder() / "kernel-settings"
