"""Control groups of one node: one folder in each v1 hierarchy, or one in the unified tree. Also how its processes are found and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
SYSTEM = "system"
NEEDED = ("cpu", "cpuset", "memory", "pids")
_KILL_S = 10.0
_POLL_S = 0.02
_NOT_A_HIERARCHY = {"unified", "systemd"}


def is_unified(root: Path = ROOT) -> bool:
    """Whether this machine has only cgroup v2."""
    return (root / "cgroup.controllers").exists()


def missing_controllers(root: Path = ROOT) -> list[str]:
    """Controllers that a kubelet needs and this machine does not offer."""
    if is_unified(root):
        offered = (root / "cgroup.controllers").read_text().split()
        return [name for name in NEEDED if name not in offered]
    return [name for name in NEEDED if not (root / name / "cgroup.procs").exists()]


def hierarchies(root: Path = ROOT) -> list[Path]:
    """Roots of the trees in which a node needs its folder; the same tree under two names (cpu,cpuacct) is given once."""
    if is_unified(root):
        return [root]
    if not root.exists():
        return []
    folders = {each.resolve() for each in root.iterdir() if (each / "cgroup.procs").exists()}
    # "unified" and "systemd" too: runc makes its folders there as well
    return sorted(folders)


def make(name: str, root: Path = ROOT) -> list[Path]:
    """Make the node's folders, and in each the leaf for its own daemons; gives the files that a process writes itself into.

    Raises:
        OSError: not root, or a read-only cgroup file system.
    """
    files = []
    for tree in hierarchies(root):
        folder = tree / name
        if is_unified(root):
            _enable(tree)
        folder.mkdir(exist_ok=True)
        if is_unified(root):
            _enable(folder)
        _inherit_cpuset(tree, folder)
        leaf = folder / SYSTEM
        leaf.mkdir(exist_ok=True)
        _inherit_cpuset(folder, leaf)
        if tree.name not in _NOT_A_HIERARCHY:
            files.append(leaf / "cgroup.procs")
    return files


def processes(name: str, root: Path = ROOT) -> set[int]:
    """Process ids in the node's folders and below."""
    found: set[int] = set()
    for tree in hierarchies(root):
        for file in (tree / name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in file.read_text().split())
    return found


def kill_all(name: str, root: Path = ROOT) -> None:
    """SIGKILL everything in the node's folders, again until they are empty (what is killed may just have forked)."""
    until_s = time.monotonic() + _KILL_S
    while found := processes(name, root) - {0, os.getpid()}:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until_s:
            return
        time.sleep(_POLL_S)


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the node's folders, deepest first; one that is in use stays, and the caller's check tells."""
    for tree in hierarchies(root):
        top = tree / name
        folders = sorted((each for each in top.rglob("*") if each.is_dir()), key=lambda each: -len(each.parts))
        for folder in (*folders, top):
            with contextlib.suppress(OSError):
                folder.rmdir()


def exists(name: str, root: Path = ROOT) -> bool:
    """Whether a folder of this name is left in any tree."""
    return any((tree / name).exists() for tree in hierarchies(root))


def _inherit_cpuset(parent: Path, folder: Path) -> None:
    """A v1 cpuset starts empty, and an empty one takes no process."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (folder / file).exists() and (parent / file).exists() and not is_unified(parent):
            (folder / file).write_text((parent / file).read_text())


def _enable(folder: Path) -> None:
    """Offer each controller to the folders below; one by one, since a single refusal would refuse all."""
    for name in (folder / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{name}")
