"""A real node: control plane, containerd, kubelet and kube-proxy in a network namespace of its own. Several fit one machine. Needs root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.harness.processes import Child, ProcessFailed, run_program
from deploy.local_cluster import cgroups, cleanup, images, kernel_settings, network, node_settings, preflight
from deploy.local_cluster.build import NODE, PAUSE, ensure_built
from deploy.local_cluster.handle import ClusterHandle, Steering
from deploy.local_cluster.kube_http import KubeHttp
from deploy.local_cluster.layout import Layout
from deploy.local_cluster.network import Link
from deploy.local_cluster.node_settings import NodeFiles
from deploy.local_cluster.record_keeper import RecordKeeper
from deploy.local_cluster.records import Record
from deploy.local_cluster.sandbox import Sandbox, usable_snapshotter
from deploy.local_cluster.server import Part, Server

IMPORTED = "images-imported"


class Node:
    """One full node: its namespaces, its control plane, and its own parts."""

    def __init__(self, plan: Layout, keeper: RecordKeeper, link: Link) -> None:
        self.plan = plan
        self.link = link
        self._keeper = keeper
        self._files = NodeFiles(plan.state_dir / "config")
        self._snapshotter = "overlayfs"
        record = keeper.record
        self.sandbox = Sandbox(plan, record.netns, [])
        self.server = Server(plan, keeper.add_process, self._enter)
        self._holder = Part("holder", (), plan.logs / "holder.log", keeper.add_process, self._hold)
        self._own = {
            "containerd": self._part("containerd", node_settings.containerd_command(plan, self._files)),
            "kubelet": self._part("kubelet", node_settings.kubelet_command(plan, self._files)),
            "kube-proxy": self._part("kube-proxy", node_settings.proxy_command(plan)),
        }

    def parts(self) -> dict[str, Child]:
        """All processes by name."""
        return {**self.server.parts, **self._own}

    def make_places(self) -> None:
        """Network, control groups, configuration: what stays while the node stops and starts.

        Raises:
            NetworkFailed: an address range or a namespace could not be had.
        """
        record = self._keeper.record
        network.make(record.netns, record.link, self.link)
        self._snapshotter = usable_snapshotter(self.plan.state_dir)
        node_settings.write_files(
            self._files, self.plan, cgroup=record.cgroup, snapshotter=self._snapshotter, cni_folder=str(preflight.cni_folder())
        )

    async def start(self) -> None:
        """Start all parts, and wait until the node is Ready and takes pods.

        Raises:
            ProcessFailed: a part ended or was not ready in time, with the end of its log.
        """
        record = self._keeper.record
        self.sandbox = Sandbox(self.plan, record.netns, cgroups.make(record.cgroup))
        self.server.prepare()
        await self.sandbox.open(self._holder)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.server.start())
                group.create_task(self._start_containerd())
        except* ProcessFailed as failures:
            raise failures.exceptions[0] from None
        await self._own["kubelet"].start()
        await self._own["kube-proxy"].start()
        await self.server.wait_until(self._is_ready, what="the node's Ready condition", watched=self._own["kubelet"])

    async def stop(self) -> None:
        """All of it ends at once, as at a power cut; disk, network and addresses stay. A repeat is safe."""
        await asyncio.gather(*(part.kill() for part in (self._own["kubelet"], self._own["kube-proxy"])))
        await self.server.stop()
        await self._own["containerd"].kill()
        # Shims and containers: they are no children of ours, but they are in the node's control groups
        await asyncio.to_thread(cgroups.kill_all, self._keeper.record.cgroup)
        await self._holder.kill()
        self.sandbox.holder_pid = None
        await asyncio.to_thread(cgroups.remove, self._keeper.record.cgroup)

    def forget_state(self, keep_identity: bool) -> None:
        """Objects and kubelet's memory of pods go; images stay. The node must be stopped."""
        self.server.forget_state(keep_identity=keep_identity)

    async def import_image(self, archive: Path) -> None:
        """Give containerd the images of a docker-archive.

        Raises:
            ProcessFailed: it is no archive, with ctr's words.
        """
        content = await asyncio.to_thread(archive.read_bytes)
        command = [*self._enter(), *node_settings.import_command(self.plan, self._snapshotter)]
        code, output, errors = await run_program(command, stdin=content)
        if code != 0:
            raise ProcessFailed(f"import ended with {code}: {errors or output}", subject=str(archive))

    async def _start_containerd(self) -> None:
        await self._own["containerd"].start()
        await self._own["containerd"].wait_until(lambda: self.sandbox.sees(node_settings.SOCKET), what="its socket", timeout_s=60.0)
        mark = self.plan.state_dir / IMPORTED
        if not mark.exists():
            folder = self.plan.binary.parent
            await self.import_image(await asyncio.to_thread(images.default_archive, folder, folder / PAUSE))
            mark.touch()

    async def _is_ready(self, kube: KubeHttp) -> bool:
        node = await kube.get(f"/api/v1/nodes/{self.plan.name}")
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))
        return ready and not node["spec"].get("taints")

    def _part(self, name: str, command: list[str]) -> Part:
        return Part(name, command, self.plan.logs / f"{name}.log", self._keeper.add_process, self._enter)

    def _enter(self) -> list[str]:
        return self.sandbox.enter()

    def _hold(self) -> list[str]:
        return self.sandbox.holder_command()


@asynccontextmanager
async def full_node(name: str, *, state_dir: Path | None = None) -> AsyncIterator[ClusterHandle]:
    """Run a full node for as long as the block lasts.

    The first use on a machine builds it, with progress printed. Everything it made is gone afterwards, or, when this process is
    killed, after the next start of any local cluster by root.

    Args:
        name: of the node; two of the same name may run beside each other.
        state_dir: folder for its state, kept afterwards and taken up again by a later call; None: one of its own, removed afterwards.

    Raises:
        CannotRun: not root, or a package is missing; names the line that changes it.
        BuildFailed: no Go, or the build's own error.
        ProcessFailed: a part ended or was not ready in time, with the end of its log.
    """
    preflight.check_node_name(name)
    preflight.demand("full")
    binaries = await asyncio.to_thread(ensure_built, "full")
    await asyncio.to_thread(cleanup.clean_up_stale)
    keeper = RecordKeeper.open("full_node", name, state_dir)
    try:
        kernel_settings.note()
        link = network.link_of(keeper.record.slot, network.unused_network())
        plan = Layout(name, Path(keeper.record.state_dir), binaries / NODE, link.node_address, keeper.record.port)
        node = Node(plan, keeper, link)
        await asyncio.to_thread(node.make_places)
        try:
            await node.start()
            yield _handle(node, keeper.record)
        finally:
            await node.stop()
    finally:
        cleanup.tear_down(keeper.record)


def _handle(node: Node, record: Record) -> ClusterHandle:
    plan = node.plan
    steering = Steering(start=node.start, stop=node.stop, forget=node.forget_state, parts=node.parts, images=node.import_image)
    return ClusterHandle(
        plan.name,
        "full_node",
        plan.server_url,
        plan.pki / "ca.crt",
        plan.kubeconfig,
        plan.certificate_kubeconfig,
        plan.state_dir,
        record.instance,
        record.netns,
        record.link,
        node.link.host_address,
        node.link.node_address,
        steering,
    )
