"""A person's own K3s as the cluster of one node; touched only on CLUSTER=k3s, and only objects of the demo's app."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.harness.clusters import NodeCluster, Steering
from deploy.harness.processes import run_program
from deploy.local_cluster.images import DEMO_APP, default_images, find_busybox, write_image
from deploy.local_cluster.kube_http import KubeHttp
from shared.errors import UsageError

_K3S_KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")


def find_kubeconfig() -> Path:
    """`$KUBECONFIG`, else K3s' own file.

    Raises:
        UsageError: there is none that can be read.
    """
    path = Path(os.environ.get("KUBECONFIG") or _K3S_KUBECONFIG)
    if not os.access(path, os.R_OK):
        raise UsageError(
            "no kubeconfig of a K3s that can be read", subject=str(path), remedy="run as root, or set KUBECONFIG to a readable copy"
        )
    return path


@asynccontextmanager
async def own_cluster(name: str) -> AsyncIterator[NodeCluster]:
    """The cluster of the kubeconfig; the demo's image is imported into it.

    Raises:
        UsageError: it is not there, or the image cannot be imported.
    """
    kubeconfig = find_kubeconfig()
    await _import_image()

    async def refuse() -> None:
        raise UsageError("your own K3s is neither stopped, started nor reinstalled by the demo", subject=name)

    async with KubeHttp.from_kubeconfig(kubeconfig) as kube:
        await kube.get("/version")
        yield NodeCluster(name, "k3s", kubeconfig, kube, Steering(refuse, refuse, refuse))


async def _import_image() -> None:
    k3s = shutil.which("k3s")
    if k3s is None:
        raise UsageError("the program k3s is not on this machine", subject="CLUSTER=k3s", remedy="run the demo on the machine of the K3s")
    images = [image for image in default_images(find_busybox()) if image.name.startswith(DEMO_APP)]
    with tempfile.TemporaryDirectory() as folder:
        archive = write_image(Path(folder) / "images.tar", *images)
        code, output, errors = await run_program([k3s, "ctr", "images", "import", str(archive)], timeout_s=120.0)
    if code != 0:
        raise UsageError(f"the image could not be imported: {(errors or output).strip()}", subject="k3s ctr", remedy="run the demo as root")
