"""Configuration files and command lines of a node's own parts: containerd, CNI, kubelet, kube-proxy. Values only.

Paths below /run, /var/lib and /var/log are the node's own: it has a mount namespace of its own, where these are fresh.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.local_cluster.images import PAUSE_IMAGE
from deploy.local_cluster.layout import POD_RANGE, Layout

SOCKET = "/run/munbon/containerd.sock"
KUBELET_FOLDER = "/var/lib/kubelet"
CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")
_UNUSED_PLUGINS = (
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.differ.v1.erofs",
    "io.containerd.mount-handler.v1.erofs",
    "io.containerd.nri.v1.nri",
)


@dataclass(frozen=True)
class NodeFiles:
    """Where the node's configuration lies."""

    folder: Path

    @property
    def containerd(self) -> Path:
        """Containerd's configuration."""
        return self.folder / "containerd.toml"

    @property
    def network(self) -> Path:
        """Folder of the CNI configuration."""
        return self.folder / "cni"

    @property
    def kubelet(self) -> Path:
        """Kubelet's configuration."""
        return self.folder / "kubelet.yaml"


def write_files(files: NodeFiles, plan: Layout, *, cgroup: str, snapshotter: str, cni_folder: str) -> None:
    """Write all configuration; a repeat replaces it.

    Args:
        files: where to.
        plan: names and addresses.
        cgroup: the node's own cgroup: with a shared one, two kubelets take each other's pods for orphans.
        snapshotter: `overlayfs`, or `native` where the disk has no overlays.
        cni_folder: where the CNI plugins are.
    """
    files.network.mkdir(parents=True, exist_ok=True)
    files.containerd.write_text(containerd_toml(plan, files, snapshotter, cni_folder))
    (files.network / "10-munbon.conflist").write_text(json.dumps(network_config(), indent=1))
    files.kubelet.write_text(yaml.safe_dump(kubelet_config(cgroup), sort_keys=False))


def containerd_toml(plan: Layout, files: NodeFiles, snapshotter: str, cni_folder: str) -> str:
    """Containerd's configuration, version 3."""
    quoted = json.dumps
    return f"""version = 3
root = {quoted(str(plan.state_dir / "containerd"))}
state = "/run/containerd"
disabled_plugins = {quoted(list(_UNUSED_PLUGINS))}

[grpc]
address = {quoted(SOCKET)}

[plugins."io.containerd.cri.v1.images"]
snapshotter = {quoted(snapshotter)}
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = {quoted(PAUSE_IMAGE)}

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
tolerate_missing_hugetlb_controller = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{quoted(cni_folder)}]
conf_dir = {quoted(str(files.network))}
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = {quoted(str(plan.binary.parent / "containerd-shim-runc-v2"))}
"""


def network_config() -> dict[str, object]:
    """Point-to-point links, all routed: a bridge would need br_netfilter for Services whose pods are neighbours."""
    addresses = {
        "type": "host-local",
        "dataDir": "/run/munbon/addresses",
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {"cniVersion": "1.0.0", "name": "munbon", "plugins": [{"type": "ptp", "mtu": 1400, "ipam": addresses}]}


def kubelet_config(cgroup: str) -> dict[str, object]:
    """The kubelet's configuration: no eviction by the disk of a developer's machine, no change to its firewall."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "resolvConf": "",
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": f"{KUBELET_FOLDER}/volume-plugins",
        "makeIPTablesUtilChains": False,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "maxPods": 60,
    }


def containerd_command(plan: Layout, files: NodeFiles) -> list[str]:
    """Containerd."""
    return [str(plan.binary), "containerd", "--config", str(files.containerd)]


def kubelet_command(plan: Layout, files: NodeFiles) -> list[str]:
    """Kubelet."""
    return [
        str(plan.binary),
        "kubelet",
        f"--config={files.kubelet}",
        f"--kubeconfig={plan.kubeconfig}",
        f"--hostname-override={plan.name}",
        f"--node-ip={plan.address}",
        f"--root-dir={KUBELET_FOLDER}",
        f"--cert-dir={plan.state_dir / 'kubelet-pki'}",
    ]


def proxy_command(plan: Layout) -> list[str]:
    """kube-proxy on nftables; it leaves the machine's connection tracking as it is."""
    return [
        str(plan.binary),
        "kube-proxy",
        f"--kubeconfig={plan.kubeconfig}",
        f"--hostname-override={plan.name}",
        "--proxy-mode=nftables",
        "--conntrack-max-per-core=0",
        f"--cluster-cidr={POD_RANGE}",
        "--healthz-bind-address=127.0.0.1:10256",
    ]


def import_command(plan: Layout, snapshotter: str) -> list[str]:
    """Import of a docker-archive from standard input."""
    return [str(plan.binary), "ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "import", "--snapshotter", snapshotter, "-"]
