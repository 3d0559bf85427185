"""The control plane's four processes over one state folder: start, stop, start again, start with another identity."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from deploy.harness.processes import Child, ProcessFailed
from deploy.local_cluster import access, layout
from deploy.local_cluster.certificates import make_certificates
from deploy.local_cluster.kube_http import KubeHttp, KubeHttpError
from deploy.local_cluster.layout import Layout
from deploy.make.capabilities import system_path
from shared.clock import Clock, SystemClock

# Test clusters are many and short-lived: collect garbage sooner, and use the machine's few cores for the tests
LEAN = {"GOGC": "50"}
Enter = Callable[[], Sequence[str]]
READY_S = 120.0
_POLL_S = 0.05
_KINE_STOP_S = 5.0
ADMIN = "munbon-admin"


class Part(Child):
    """A child that is told to the record when it starts; `enter` gives the command line put before its own."""

    def __init__(self, name: str, command: Sequence[str], log: Path, on_start: Callable[[int], None], enter: Enter) -> None:
        super().__init__(name, command, log=log, environment={**LEAN, "PATH": system_path()})
        self._own_command = list(command)
        self._enter = enter
        self._on_start = on_start

    async def start(self) -> None:
        """Start it, and record its process id."""
        self.command = [*self._enter(), *self._own_command]
        await super().start()
        if self.pid is not None:
            self._on_start(self.pid)


class Server:
    """kine, API server, controllers and scheduler of one cluster.

    Args:
        plan: addresses and folders.
        on_start: is told the process id of each part that starts.
        enter: gives the command line put before each part's own (a namespace to enter), or nothing.
    """

    def __init__(self, plan: Layout, on_start: Callable[[int], None], enter: Enter = tuple, clock: Clock | None = None) -> None:
        self.plan = plan
        self._clock = clock or SystemClock()
        commands = {
            "kine": layout.kine_command(plan),
            "kube-apiserver": layout.api_server_command(plan),
            "kube-controller-manager": layout.controllers_command(plan),
            "kube-scheduler": layout.scheduler_command(plan),
        }
        self.parts = {name: Part(name, command, plan.logs / f"{name}.log", on_start, enter) for name, command in commands.items()}
        self.token = ""

    async def start(self) -> None:
        """Start all parts over what is in the state folder, and wait until the API server is ready.

        Raises:
            ProcessFailed: a part ended, or was not ready in time; with the end of its log.
        """
        self.prepare()
        (self.plan.state_dir / "kine.sock").unlink(missing_ok=True)
        await self.parts["kine"].start()
        await self.parts["kine"].wait_until((self.plan.state_dir / "kine.sock").exists, what="its socket")
        await self.parts["kube-apiserver"].start()
        await self.wait_until(_serves, what="/readyz")
        await self.parts["kube-controller-manager"].start()
        await self.parts["kube-scheduler"].start()
        # Without it the API server refuses pods
        await self.wait_until(_takes_pods, what="the default service account")

    async def stop(self) -> None:
        """Stop all parts at once. The API server would go on serving for up to a minute, so it is killed; kine ends cleanly."""
        await asyncio.gather(*(self.parts[name].kill() for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver")))
        await self.parts["kine"].stop(timeout_s=_KINE_STOP_S)

    def forget_state(self, *, keep_identity: bool) -> None:
        """Remove all objects; with `keep_identity` certificates and tokens stay, and old clients still get in. Parts must be stopped."""
        for path in self.plan.state_dir.glob("state.db*"):
            path.unlink()
        if not keep_identity:
            shutil.rmtree(self.plan.pki)
            (self.plan.state_dir / access.TOKENS_FILE).unlink()

    async def wait_until(self, condition: Callable[[KubeHttp], Awaitable[bool]], *, what: str, watched: Child | None = None) -> None:
        """Ask the API server until `condition` holds; where it does not answer or refuses, it does not hold.

        Args:
            condition: may raise as KubeHttp does.
            what: the condition in words.
            watched: the part whose end or log explains a failure; None: the API server.

        Raises:
            ProcessFailed: that part ended, or the condition did not come true within two minutes.
        """
        server = watched or self.parts["kube-apiserver"]
        until_s = self._clock.monotonic_s() + READY_S
        async with KubeHttp.from_kubeconfig(self.plan.kubeconfig) as kube:
            while not await _holds(condition, kube):
                if not server.is_running:
                    raise ProcessFailed(f"ended with {server.exit_code}; log ends:\n{server.log_tail()}", subject=server.name)
                if self._clock.monotonic_s() > until_s:
                    raise ProcessFailed(f"{what}: not within {READY_S:.0f} s; log ends:\n{server.log_tail()}", subject=server.name)
                await self._clock.sleep(_POLL_S)

    def prepare(self) -> None:
        """Certificates, tokens and kubeconfigs, each only where it is not there yet."""
        plan = self.plan
        plan.logs.mkdir(parents=True, exist_ok=True)
        if not (plan.pki / "sa.key").exists():
            make_certificates(plan.pki, sorted({layout.LOOPBACK, plan.address, layout.SERVICE_ADDRESS}))
        tokens = plan.state_dir / access.TOKENS_FILE
        self.token = tokens.read_text().split(",", 1)[0] if tokens.exists() else access.add_token(plan.state_dir, ADMIN)
        authority = plan.pki / "ca.crt"
        access.write_kubeconfig(plan.kubeconfig, plan.name, plan.server_url, authority, {"token": self.token})
        certificate = {
            "client-certificate-data": access.encoded(plan.pki / "admin.crt"),
            "client-key-data": access.encoded(plan.pki / "admin.key"),
        }
        access.write_kubeconfig(plan.certificate_kubeconfig, plan.name, plan.server_url, authority, certificate)


async def _holds(condition: Callable[[KubeHttp], Awaitable[bool]], kube: KubeHttp) -> bool:
    try:
        return await condition(kube)
    except (aiohttp.ClientError, KubeHttpError, OSError):
        return False


async def _serves(kube: KubeHttp) -> bool:
    code, _ = await kube.raw("GET", "/readyz")
    return code == 200 and bool(await kube.get("/api/v1/namespaces/kube-system"))


async def _takes_pods(kube: KubeHttp) -> bool:
    return bool(await kube.get("/api/v1/namespaces/default/serviceaccounts/default"))
