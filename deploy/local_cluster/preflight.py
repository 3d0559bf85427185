"""What this machine can run of the local cluster, what it lacks, and the one line that changes it. Reads only; asks nobody for root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from deploy.local_cluster import cgroups, network
from deploy.local_cluster.build import SOURCES, What, is_built
from deploy.local_cluster.folders import cache_folder
from deploy.local_cluster.node_settings import CNI_FOLDERS
from deploy.make import capabilities
from deploy.make.capabilities import Lack, system_path
from shared.errors import Permanent, UsageError

Best = Literal["full", "control_plane", "memory"]
PACKAGES = ("runc", "containernetworking-plugins", "busybox-static", "nftables", "iproute2")
INSTALL = "as root: make cluster INSTALL=1"
_GIB = 2**30
_COLD_DISK_GIB = {"control_plane": 6.0, "full": 7.0}
_WARM_DISK_GIB = 1.0
_MEMORY_GIB = {"control_plane": 1.0, "full": 1.5}
_BUILD_MEMORY_GIB = 2.5
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")
_PROGRAMS = ("runc", "ip", "nft", "nsenter", "unshare", "mount")


class CannotRun(Permanent):
    """This machine lacks something that the asked kind of cluster needs."""


def best_kind() -> tuple[Best, str]:
    """The best cluster of this machine, and why not the better one with the line that changes it (empty for the best)."""
    full = lacks("full")
    if not full:
        return "full", ""
    control_plane = lacks("control_plane")
    if not control_plane:
        return "control_plane", f"no full nodes: {in_words(full)}"
    return "memory", f"no control plane: {in_words(control_plane)}"


def lacks(what: What) -> list[Lack]:
    """All that this machine lacks for `what`; empty where it can run."""
    found = _build_lacks(what) + _memory_lacks(what)
    if what == "full":
        found += _node_lacks()
    return found


def in_words(found: list[Lack]) -> str:
    """One line: what is missing, and what changes it."""
    remedies = list(dict.fromkeys(each.remedy for each in found))
    return f"{', '.join(each.missing for each in found)}; to change it: {'; '.join(remedies)}"


def demand(what: What) -> None:
    """Go on only where `what` can run.

    Raises:
        CannotRun: with all that is missing and the lines that change it.
    """
    if found := lacks(what):
        raise CannotRun(in_words(found), subject="full node" if what == "full" else "control plane")


def check_node_name(name: str) -> None:
    """Node names become names of namespaces, cgroups and Kubernetes objects.

    Raises:
        UsageError: it would not be allowed there.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("not a node name", subject=repr(name), remedy="1 to 50 of a-z, 0-9 and -, no - at either end")


def cni_folder() -> Path:
    """Folder of the CNI plugins; the first of the usual ones where none has them."""
    return next((Path(each) for each in CNI_FOLDERS if (Path(each) / "ptp").exists()), Path(CNI_FOLDERS[0]))


def _build_lacks(what: What) -> list[Lack]:
    """What is built needs no Go, and only room for its state."""
    built = is_built(what)
    found = []
    if not built:
        if lack := capabilities.go_lack() or _go_version_lack():
            found.append(lack)
        if (available := _available_memory_gib()) < _BUILD_MEMORY_GIB:
            found.append(Lack(f"{available:.1f} GiB of memory free, the build needs {_BUILD_MEMORY_GIB:.1f}", "close other programs"))
    needed = _WARM_DISK_GIB if built else _COLD_DISK_GIB[what]
    free = shutil.disk_usage(cache_folder()).free / _GIB
    if free < needed:
        missing = f"{free:.1f} GiB free at {cache_folder()}, {needed:.0f} needed"
        found.append(Lack(missing, "free some, or set MUNBON_CACHE to a folder on another disk"))
    return found


def _go_version_lack() -> Lack | None:
    """Where the module asks for a newer Go than this one, Go fetches that one, unless it is told not to."""
    go = capabilities.find_go()
    if go is None:
        return None
    answer = subprocess.run([go, "env", "GOVERSION"], cwd=SOURCES, capture_output=True, text=True, check=False)
    return None if answer.returncode == 0 else Lack(answer.stderr.strip().replace("\n", " "), "install that Go, or unset GOTOOLCHAIN")


def _memory_lacks(what: What) -> list[Lack]:
    available = _available_memory_gib()
    if available >= _MEMORY_GIB[what]:
        return []
    return [Lack(f"{available:.1f} GiB of memory free, {_MEMORY_GIB[what]:.1f} needed", "close other programs")]


def _node_lacks() -> list[Lack]:
    found = []
    if os.geteuid() != 0:
        found.append(Lack("not root", "run it as root"))
    path = system_path()
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    if not (cni_folder() / "ptp").exists():
        missing.append("the CNI plugins")
    if shutil.which("busybox", path=path) is None:
        missing.append("busybox")
    if missing:
        found.append(Lack(f"not on this machine: {', '.join(missing)}", INSTALL))
    if controllers := cgroups.missing_controllers():
        off = f"cgroup controllers {', '.join(controllers)} are off"
        found.append(Lack(off, "add cgroup_enable=memory to the kernel's command line, and boot"))
    elif os.geteuid() == 0 and not os.access(cgroups.hierarchies()[0], os.W_OK):
        found.append(Lack("cgroups are read-only here", "run it outside of this container"))
    if shutil.which("ip", path=path):
        try:
            network.unused_network()
        except network.NetworkFailed as error:
            found.append(Lack(str(error.message), error.remedy))
    return found


def _available_memory_gib() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("MemAvailable:")), 0.0)
