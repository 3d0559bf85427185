"""A real control plane for a test, without root: API server, controllers, scheduler, SQLite. Pods stay Pending (see `fake_kubelet`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local_cluster import cleanup
from deploy.local_cluster.build import CONTROL_PLANE, ensure_built
from deploy.local_cluster.handle import ClusterHandle, Steering
from deploy.local_cluster.layout import LOOPBACK, Layout
from deploy.local_cluster.record_keeper import RecordKeeper
from deploy.local_cluster.records import Record
from deploy.local_cluster.server import Server


@asynccontextmanager
async def control_plane(*, state_dir: Path | None = None, name: str = "test") -> AsyncIterator[ClusterHandle]:
    """Run a control plane on a free loopback port for as long as the block lasts.

    The first use on a machine builds it, with progress printed. Everything it made is gone afterwards, or, when this process is
    killed, after the next start of any local cluster.

    Args:
        state_dir: folder for its state, kept afterwards and taken up again by a later call; None: one of its own, removed afterwards.
        name: of the cluster; need not be unique.

    Raises:
        BuildFailed: no Go, or the build's own error.
        ProcessFailed: a part ended or was not ready in time, with the end of its log.
    """
    binaries = await asyncio.to_thread(ensure_built, "control_plane")
    await asyncio.to_thread(cleanup.clean_up_stale)
    keeper = RecordKeeper.open("control_plane", name, state_dir)
    plan = Layout(name, Path(keeper.record.state_dir), binaries / CONTROL_PLANE, LOOPBACK, keeper.record.port)
    server = Server(plan, keeper.add_process)
    try:
        try:
            await server.start()
            yield _handle(server, keeper.record)
        finally:
            await server.stop()
    finally:
        cleanup.tear_down(keeper.record)


def _handle(server: Server, record: Record) -> ClusterHandle:
    plan = server.plan
    steering = Steering(
        start=server.start,
        stop=server.stop,
        forget=lambda keep: server.forget_state(keep_identity=keep),
        parts=lambda: dict(server.parts),
    )
    return ClusterHandle(
        plan.name,
        "control_plane",
        plan.server_url,
        plan.pki / "ca.crt",
        plan.kubeconfig,
        plan.certificate_kubeconfig,
        plan.state_dir,
        record.instance,
        "",
        "",
        LOOPBACK,
        LOOPBACK,
        steering,
    )
