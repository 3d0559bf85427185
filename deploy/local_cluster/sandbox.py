"""The node's own mount namespace, held open by one small process: what the node mounts is gone when its processes are.

Kubelet, containerd and CNI have paths that no option changes (/run/containerd, /var/lib/kubelet/device-plugins, /var/log/containers).
In here these are fresh, so that a node touches neither the machine nor a K3s that runs on it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local_cluster.build import PAUSE
from deploy.local_cluster.layout import Layout
from deploy.local_cluster.network import NAMESPACES
from deploy.local_cluster.node_settings import KUBELET_FOLDER
from deploy.local_cluster.server import Part
from shared.errors import MunbonError

_FRESH = ("/run", "/var/lib", "/var/log")
_READY = "/run/munbon/ready"
_JOIN = 'for file in $0; do echo 0 >"$file" || exit 1; done; exec "$@"'
# $1 state, $2 programs, $3 kubelet's folder, $4 ready mark, $5 the holder; folders that the fresh ones would hide are put back
_SET_UP = f"""set -e
exec 8<"$1" 9<"$2"
umount --recursive --lazy /run/netns 2>/dev/null || true
for fresh in {" ".join(_FRESH)}; do mount -t tmpfs -o mode=755 munbon "$fresh"; done
[ -d "$1/pki" ] || {{ mkdir -p "$1"; mount --bind /proc/self/fd/8 "$1"; }}
[ -x "$5" ] || {{ mkdir -p "$2"; mount --bind /proc/self/fd/9 "$2"; }}
mount --make-rshared /
mkdir -p "$1/kubelet" "$3" /run/munbon
mount --bind "$1/kubelet" "$3"
exec 8<&- 9<&-
touch "$4"
exec "$5"
"""


class SandboxGone(MunbonError):
    """The node is not started."""


class Sandbox:
    """Mount namespace, network namespace and control groups that all parts of one node share.

    Args:
        plan: the node's folders.
        netns: its network namespace; must be there.
        groups: files that a process writes itself into, to be in the node's control groups.
    """

    def __init__(self, plan: Layout, netns: str, groups: Sequence[Path]) -> None:
        self._plan = plan
        self._netns = netns
        self._groups = " ".join(str(each) for each in groups)
        self.holder_pid: int | None = None

    def holder_command(self) -> list[str]:
        """The process that makes the mount namespace and stays in it."""
        folder = self._plan.binary.parent
        return [
            *self._join(),
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "/bin/sh",
            "-c",
            _SET_UP,
            "munbon-sandbox",
            str(self._plan.state_dir),
            str(folder),
            KUBELET_FOLDER,
            _READY,
            str(folder / PAUSE),
        ]

    def enter(self) -> list[str]:
        """What is put before the command line of a part.

        Raises:
            SandboxGone: the holder does not run.
        """
        if self.holder_pid is None:
            raise SandboxGone("is not started", subject=self._plan.name)
        return [*self._join(), "nsenter", f"--mount=/proc/{self.holder_pid}/ns/mnt", f"--wd={self._plan.state_dir}", "--"]

    async def open(self, holder: Part) -> None:
        """Start the holder and wait until its mounts are there.

        Raises:
            ProcessFailed: a mount was refused; with the kernel's words.
        """
        await holder.start()
        self.holder_pid = holder.pid
        await holder.wait_until(lambda: self.sees(_READY), what="its mounts")

    def sees(self, path: str) -> bool:
        """Whether a path exists in the node."""
        return Path(f"/proc/{self.holder_pid}/root{path}").exists()

    def _join(self) -> list[str]:
        # nsenter, not `ip netns exec`: that one hides /sys/fs/cgroup
        return ["/bin/sh", "-c", _JOIN, self._groups, "nsenter", f"--net={NAMESPACES / self._netns}", "--"]


def usable_snapshotter(state_dir: Path) -> str:
    """`overlayfs` where the disk takes an overlay, else `native`, which copies."""
    base = state_dir / "overlay-probe"
    for name in ("lower", "upper", "work", "merged"):
        (base / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    mount = ["mount", "-t", "overlay", "probe", "-o", options, f"{base}/merged"]
    probe = subprocess.run(["unshare", "--mount", "--propagation", "private", *mount], capture_output=True, check=False)
    return "overlayfs" if probe.returncode == 0 else "native"
