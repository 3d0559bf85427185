"""What a caller holds of a running cluster."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.harness.processes import Child, run_program
from deploy.local_cluster import access
from deploy.local_cluster.certificates import ADMINISTRATORS
from deploy.local_cluster.kube_http import KubeHttp
from deploy.local_cluster.records import Kind
from shared.errors import MunbonError

_MIB = 1024.0
# Not busybox's wget: Debian's static busybox crashes when it looks an address up on a machine with a C library of its own
_GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read().decode(), end='')"


class NoAnswer(MunbonError):
    """Nothing, or an error, came back from inside the node's network."""


class NotOnThisKind(MunbonError):
    """Asked of a control plane what only a full node has."""


@dataclass(frozen=True)
class Steering:
    """How the launcher lets a handle act on its cluster."""

    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]
    forget: Callable[[bool], None]
    parts: Callable[[], dict[str, Child]]
    images: Callable[[Path], Awaitable[None]] | None = None


@dataclass(frozen=True)
class ClusterHandle:
    """A running cluster: how to reach it, and what can be done to it.

    The address, the token and the kubeconfig stay valid over `stop`, `start`, `restart` and `reinstall`, except that
    `reinstall(keep_identity=False)` makes a new authority and a new token: read `kubeconfig` again, as after a real reinstallation.

    Attributes:
        name: as the caller gave it; on a full node also the node's name.
        kubeconfig: with an administrator's token.
        certificate_kubeconfig: with an administrator's client certificate, as K3s writes it.
        netns: full node: its network namespace; `nsenter --net=/run/netns/<netns>` enters it.
        host_address, node_address: full node: the two ends of its link; on a control plane both are 127.0.0.1.
    """

    name: str
    kind: Kind
    server_url: str
    ca_file: Path
    kubeconfig: Path
    certificate_kubeconfig: Path
    state_dir: Path
    instance: str
    netns: str
    link: str
    host_address: str
    node_address: str
    steering: Steering = field(repr=False, compare=False)

    @property
    def token(self) -> str:
        """Bearer token of an administrator (group system:masters)."""
        return (self.state_dir / access.TOKENS_FILE).read_text().split(",", 1)[0]

    def client(self) -> KubeHttp:
        """A new small client; the caller closes it (`async with`)."""
        return KubeHttp.from_kubeconfig(self.kubeconfig)

    async def kube_system_uid(self) -> str:
        """The cluster's identity."""
        async with self.client() as kube:
            return str((await kube.get("/api/v1/namespaces/kube-system"))["metadata"]["uid"])

    async def stop(self) -> None:
        """The cluster goes away (containers of a full node too), its state stays; a repeat is safe."""
        await self.steering.stop()

    async def start(self) -> None:
        """Start it again over its state, at the same address."""
        await self.steering.start()

    async def restart(self) -> None:
        """`stop`, then `start`."""
        await self.stop()
        await self.start()

    async def reinstall(self, *, keep_identity: bool = True) -> None:
        """Start it empty at the same address, with another kube-system UID: somebody installed K3s anew.

        Args:
            keep_identity: keep authority, certificates and tokens, so that clients still get in and meet a new cluster;
                else all of them are new too.
        """
        await self.stop()
        self.steering.forget(keep_identity)
        await self.start()

    async def make_token(self, user: str, groups: Sequence[str] = (ADMINISTRATORS,)) -> str:
        """A second token, for another user or with fewer rights; the API server is restarted so that it knows it."""
        token = access.add_token(self.state_dir, user, groups)
        await self.restart()
        return token

    def part(self, name: str) -> Child:
        """One process of the cluster, such as `kube-apiserver` or `kubelet`: its log, `kill`, `start`."""
        return self.steering.parts()[name]

    def memory_mib(self) -> dict[str, float]:
        """Proportional set size of each running part."""
        return {name: _pss_mib(part.pid) for name, part in self.steering.parts().items() if part.pid is not None}

    def inside(self, *command: str) -> list[str]:
        """The command line that runs `command` in the node's network; on a control plane, `command` itself."""
        return ["nsenter", f"--net=/run/netns/{self.netns}", "--", *command] if self.netns else list(command)

    async def run_inside(self, *command: str, timeout_s: float = 60.0) -> tuple[int, str, str]:
        """Run a command in the node's network: exit code, output, errors."""
        return await run_program(self.inside(*command), timeout_s=timeout_s)

    async def get_inside(self, url: str, *, timeout_s: float = 3.0) -> str:
        """Body of a URL as the node's own network sees it, such as a ClusterIP's.

        Raises:
            NoAnswer: refused, out of time, or an HTTP error; with the reason.
        """
        code, output, errors = await self.run_inside(sys.executable, "-c", _GET, url, str(timeout_s), timeout_s=timeout_s + 20.0)
        if code != 0:
            raise NoAnswer(errors.strip().splitlines()[-1] if errors.strip() else f"ended with {code}", subject=url)
        return output

    async def import_image(self, archive: Path) -> None:
        """Give the node an image from a docker-archive tar (see `images.write_image`).

        Raises:
            NotOnThisKind: a control plane runs no containers.
        """
        if self.steering.images is None:
            raise NotOnThisKind("has no containers to give images to", subject=self.name, remedy="use full_node()")
        await self.steering.images(archive)


def _pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / _MIB for line in lines if line.startswith("Pss:")), 0.0)
