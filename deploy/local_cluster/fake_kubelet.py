"""A node without a machine: registers itself, and plays what a script says of each pod, over the API of any cluster."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import aiohttp
import structlog

from deploy.local_cluster.kube_http import MERGE, KubeHttp, KubeHttpError
from deploy.local_cluster.log_server import LogServer
from deploy.local_cluster.pod_run import PodRun
from deploy.local_cluster.pod_script import Script
from deploy.local_cluster.pod_status import pod_status
from shared.clock import Clock, SystemClock

_log = structlog.get_logger(__name__)
_RETRY_S = 0.3
_WATCH_S = 300
_HOST_IP = "127.0.0.1"
Obj = dict[str, Any]


class FakeKubelet:
    """Plays one node. Use as ``async with FakeKubelet(kube, "pi-north", script=Script(...)) as kubelet``.

    Args:
        kube: connection to the cluster; stays the caller's.
        node_name: name of the Node; one that exists is taken over.
        script: what happens to pods; may be changed at any time.
        lease_interval_s: how often the node renews its Lease.
        serves_logs: listen for the API server's requests for logs (a real control plane asks there; an in-memory cluster is told
            once: ``cluster.serve_logs(kubelet.log_of)``).
    """

    def __init__(
        self,
        kube: KubeHttp,
        node_name: str,
        script: Script | None = None,
        clock: Clock | None = None,
        lease_interval_s: float = 10.0,
        serves_logs: bool = False,
        labels: dict[str, str] | None = None,
    ) -> None:
        self.node_name = node_name
        self.script = script or Script()
        self.script.on_change(self._follow_script)
        self._kube = kube
        self._clock = clock or SystemClock()
        self._lease_interval_s = lease_interval_s
        self._labels = labels or {}
        self._log_server = LogServer(self.log_text) if serves_logs else None
        self._runs: dict[str, PodRun] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._addresses = 0

    async def __aenter__(self) -> FakeKubelet:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Register the node as Ready, then watch its pods.

        Raises:
            KubeHttpError: the API server refuses the node.
        """
        if self._log_server is not None:
            await self._log_server.start()
        await self._register()
        await self._renew_lease()
        self._loops = [
            asyncio.create_task(self._beat(), name=f"kubelet-{self.node_name}-lease"),
            asyncio.create_task(self._follow_pods(), name=f"kubelet-{self.node_name}-pods"),
        ]

    async def stop(self) -> None:
        """Fall silent: pods stay as they are, the Lease runs out."""
        tasks = [*self._loops, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loops, self._tasks = [], {}
        if self._log_server is not None:
            await self._log_server.stop()

    def log_of(self, pod: Obj, container: str, previous: bool) -> str | None:
        """Log of a container of ``pod``; None where there is none."""
        run = self._runs.get(pod["metadata"]["uid"])
        return run.log(container, previous) if run is not None else None

    def log_text(self, namespace: str, pod: str, container: str, previous: bool) -> str | None:
        """Log of a container, by names."""
        for run in self._runs.values():
            metadata = run.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, pod):
                return run.log(container, previous)
        return None

    def _now(self) -> str:
        return self._clock.wall().strftime("%Y-%m-%dT%H:%M:%SZ")

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.node_name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64", **self._labels}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.node_name, "labels": labels}, "spec": {}}
        try:
            await self._kube.create("/api/v1/nodes", node)
        except KubeHttpError as error:
            if error.code != 409:
                raise
        await self.set_node_ready(True)

    async def set_node_ready(self, ready: bool) -> None:
        """Report the node as ready or not."""
        room = {"cpu": "4", "memory": "4Gi", "pods": "110", "ephemeral-storage": "20Gi"}
        conditions = [
            self._node_condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            self._node_condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            self._node_condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            self._node_condition("Ready", str(ready), "KubeletReady" if ready else "KubeletNotReady"),
        ]
        status: Obj = {
            "capacity": room,
            "allocatable": room,
            "conditions": conditions,
            # no host name: the API server would look it up instead of using the address
            "addresses": [{"type": "InternalIP", "address": _HOST_IP}],
            "nodeInfo": _node_info(),
        }
        if self._log_server is not None:
            status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": self._log_server.port}}
        await self._kube.patch(f"/api/v1/nodes/{self.node_name}/status", {"status": status}, MERGE)

    def _node_condition(self, kind: str, status: str, reason: str) -> Obj:
        return {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": f"fake kubelet: {reason}",
            "lastHeartbeatTime": self._now(),
            "lastTransitionTime": self._now(),
        }

    async def _renew_lease(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        renewed = self._clock.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.node_name, "leaseDurationSeconds": max(1, int(self._lease_interval_s * 4)), "renewTime": renewed}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "spec": spec,
            "metadata": {"name": self.node_name, "namespace": "kube-node-lease"},
        }
        try:
            await self._kube.patch(f"{path}/{self.node_name}", {"spec": spec}, MERGE)
        except KubeHttpError as error:
            if error.code != 404:
                raise
            await self._kube.create(path, lease)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._lease_interval_s)
            try:
                await self._renew_lease()
            except (KubeHttpError, aiohttp.ClientError, TimeoutError) as error:
                _log.debug("lease_not_renewed", node=self.node_name, problem=str(error))

    async def _follow_pods(self) -> None:
        """List and watch the node's pods for ever; whatever goes wrong, list again."""
        selector = f"spec.nodeName={self.node_name}"
        while True:
            try:
                listed = await self._kube.get("/api/v1/pods", fieldSelector=selector)
                self._take_list(listed["items"])
                await self._watch_from(listed["metadata"]["resourceVersion"], selector)
            except (KubeHttpError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                _log.debug("pods_not_watched", node=self.node_name, problem=str(error))
                await self._clock.sleep(_RETRY_S)

    async def _watch_from(self, version: str, selector: str) -> None:
        while True:
            query = {"fieldSelector": selector, "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_S)}
            async with self._kube.watch("/api/v1/pods", query) as events:
                async for event in events:
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] == "DELETED":
                        self._forget(event["object"]["metadata"]["uid"])
                    elif event["type"] != "BOOKMARK":
                        self._take(event["object"])
            await self._clock.sleep(_RETRY_S)  # an API server that ends watches at once must not be hammered

    def _take_list(self, pods: list[Obj]) -> None:
        seen = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._runs if uid not in seen]:
            self._forget(uid)
        for pod in pods:
            self._take(pod)

    def _take(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        run = self._runs.get(uid)
        if run is None:
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp"):
                return
            self._runs[uid] = PodRun(pod, self.script, self._clock.monotonic_s())
            self._wakes[uid] = asyncio.Event()
            self._tasks[uid] = asyncio.create_task(self._play(uid), name=f"kubelet-{self.node_name}-{pod['metadata']['name']}")
            return
        was_deleting = run.pod["metadata"].get("deletionTimestamp")
        run.follow_script(pod, self._clock.monotonic_s())
        if pod["metadata"].get("deletionTimestamp") != was_deleting:
            self._wakes[uid].set()

    def _forget(self, uid: str) -> None:
        self._runs.pop(uid, None)
        self._wakes.pop(uid, None)
        task = self._tasks.pop(uid, None)
        if task is not None:
            task.cancel()

    def _follow_script(self) -> None:
        for uid, run in self._runs.items():
            run.follow_script(run.pod, self._clock.monotonic_s())
            self._wakes[uid].set()

    async def _play(self, uid: str) -> None:
        """Report one pod's states as they come; end when it is deleted."""
        run, wake = self._runs[uid], self._wakes[uid]
        reported = False
        self._addresses += 1
        pod_ip = f"10.42.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
        while True:
            wake.clear()
            if run.pod["metadata"].get("deletionTimestamp"):
                if await self._end(run, pod_ip):
                    return
                await self._clock.sleep(_RETRY_S)
                continue
            changed = run.advance(self._clock.monotonic_s())
            if changed or not reported:
                reported = await self._report(run, pod_ip)
            await self._wait(run, wake, reported)

    async def _wait(self, run: PodRun, wake: asyncio.Event, reported: bool) -> None:
        due_s = run.next_due_s() if reported else self._clock.monotonic_s() + _RETRY_S
        if due_s is None:
            await wake.wait()
            return
        sleep = asyncio.create_task(self._clock.sleep(max(0.0, due_s - self._clock.monotonic_s())))
        woken = asyncio.create_task(wake.wait())
        try:
            await asyncio.wait({sleep, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            woken.cancel()

    async def _report(self, run: PodRun, pod_ip: str) -> bool:
        """Write the status; False when it must be tried again."""
        metadata = run.pod["metadata"]
        status = pod_status(run.pod, run.states, self._now(), pod_ip, _HOST_IP)
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        try:
            patched = await self._kube.patch(path, {"metadata": {"uid": metadata["uid"]}, "status": status}, MERGE)
        except KubeHttpError as error:
            if error.code in (404, 409) or "metadata.uid" in error.message:
                return True  # gone, or replaced by a pod of the same name: the watch tells
            _log.warning("pod_status_refused", node=self.node_name, pod=metadata["name"], problem=error.message)
            return False
        except (aiohttp.ClientError, TimeoutError):
            return False
        if not run.pod["metadata"].get("deletionTimestamp"):
            run.pod = {**run.pod, "status": patched.get("status", {})}
        return True

    async def _end(self, run: PodRun, pod_ip: str) -> bool:
        """Report the pod's end and delete it for good; False when it must be tried again."""
        metadata = run.pod["metadata"]
        run.stop()
        if not await self._report(run, pod_ip):
            return False
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            await self._kube.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})
        except KubeHttpError as error:
            return error.code in (404, 409)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True


def _node_info() -> Obj:
    return {
        "machineID": "fake",
        "systemUUID": "fake",
        "bootID": "fake",
        "kernelVersion": "6.12",
        "osImage": "fake",
        "operatingSystem": "linux",
        "containerRuntimeVersion": "fake://1",
        "kubeletVersion": "v1.36.3",
        "kubeProxyVersion": "v1.36.3",
        "architecture": "arm64",
    }
