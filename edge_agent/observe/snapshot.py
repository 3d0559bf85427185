"""Everything that the health of a render depends on, in few requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge_agent.assess.common import last_line
from edge_agent.assess.observed import LogKey, Observed
from edge_agent.assess.pod import logs_wanted, waits_for_set_up
from edge_agent.assess.render import WITH_PODS
from edge_agent.assess.revision import new_pods
from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeError
from edge_agent.model import InventoryEntry, Manifest
from edge_agent.observe.reading import in_parallel, raise_first, read_objects
from edge_agent.observe.targets import Target
from edge_agent.plan.access import metadata, text, uid
from edge_agent.plan.decide import is_spent_job
from shared.contracts.event import ObjectRef

_POD = ResourceKind("", "v1", "Pod", "pods", True)
_EVENT = ResourceKind("", "v1", "Event", "events", True)
_REPLICA_SET = ResourceKind("apps", "v1", "ReplicaSet", "replicasets", True)
_REVISION = ResourceKind("apps", "v1", "ControllerRevision", "controllerrevisions", True)
_STORAGE_CLASS = ResourceKind("storage.k8s.io", "v1", "StorageClass", "storageclasses", False)
_OWNERS = {"Deployment": _REPLICA_SET, "DaemonSet": _REVISION}
MOST_LOGS = 4
LOG_LINES = 20


async def observe(kube: KubeClient, app: str, targets: Sequence[Target], inventory: Mapping[ObjectRef, InventoryEntry]) -> Observed:
    """Read live objects, then pods and their owners in the namespaces of workloads, then the logs of what crashed.

    Raises:
        KubeError: the cluster cannot be read.
    """
    live = await read_objects(kube, app, targets)
    missing = [target for target in targets if target.ref not in live]
    live |= await _read_unlabelled(kube, missing)
    spent = {target.ref for target in missing if is_spent_job(target.manifest, target.digest, inventory.get(target.ref))}
    workloads = [ref for ref in live if (ref.group, ref.kind) in WITH_PODS]
    pods, owners = await _read_children(kube, workloads)
    observed = Observed(live, pods, owners, frozenset(spent), await _late_binding(kube, live))
    judged = [pod for ref in workloads for pod in new_pods(ref, live[ref], observed)]
    return replace(observed, logs=await _read_logs(kube, judged), warnings=await _read_warnings(kube, judged))


async def _read_unlabelled(kube: KubeClient, targets: Sequence[Target]) -> dict[ObjectRef, Manifest]:
    """Objects that a list by our label does not show, because somebody took the label away."""
    found: dict[ObjectRef, Manifest] = {}

    async def read(target: Target) -> None:
        if target.kind is not None:
            item = await kube.get(target.kind, target.ref.namespace, target.ref.name)
            if item is not None:
                found[target.ref] = item

    raise_first(await in_parallel(read, targets))
    return found


async def _read_children(kube: KubeClient, workloads: Sequence[ObjectRef]) -> tuple[tuple[Manifest, ...], tuple[Manifest, ...]]:
    wanted = {(_POD, ref.namespace) for ref in workloads if ref.kind != "Pod"}
    wanted |= {(_OWNERS[ref.kind], ref.namespace) for ref in workloads if ref.kind in _OWNERS}
    found: dict[ResourceKind, list[Manifest]] = {}

    async def read(job: tuple[ResourceKind, str]) -> None:
        listing = await kube.list(job[0], job[1], may_lag=True)
        found.setdefault(job[0], []).extend(listing.items)

    raise_first(await in_parallel(read, sorted(wanted, key=lambda job: (job[0].kind, job[1]))))
    return tuple(found.get(_POD, ())), (*found.get(_REPLICA_SET, ()), *found.get(_REVISION, ()))


async def _late_binding(kube: KubeClient, live: Mapping[ObjectRef, Manifest]) -> frozenset[str]:
    """Storage classes that bind at first use; read only while a claim is pending."""
    claims = [obj for ref, obj in live.items() if ref.kind == "PersistentVolumeClaim"]
    if all((claim.get("status") or {}).get("phase") == "Bound" for claim in claims):
        return frozenset()
    classes = (await kube.list(_STORAGE_CLASS, may_lag=True)).items
    return frozenset(str(item["metadata"]["name"]) for item in classes if item.get("volumeBindingMode") == "WaitForFirstConsumer")


async def _read_logs(kube: KubeClient, pods: Sequence[Manifest]) -> dict[LogKey, str]:
    """Last lines of crashed containers; best effort, as the log of a run may be gone already."""
    found: dict[LogKey, str] = {}

    async def read(job: tuple[LogKey, bool]) -> None:
        (namespace, pod, container), is_previous = job
        try:
            log = await kube.logs(namespace, pod, container, previous=is_previous, tail_lines=LOG_LINES)
        except KubeError:
            return
        found[job[0]] = last_line(log)

    raise_first(await in_parallel(read, logs_wanted(pods)[:MOST_LOGS]))
    return found


async def _read_warnings(kube: KubeClient, pods: Sequence[Manifest]) -> dict[str, tuple[str, str]]:
    """Why pods wait for their volumes or network: the newest warning about each; best effort, as events are."""
    found: dict[str, tuple[str, str]] = {}

    async def read(pod: Manifest) -> None:
        selector = f"involvedObject.uid={uid(pod)},type=Warning"
        try:
            listing = await kube.list(_EVENT, text(metadata(pod).get("namespace")), field_selector=selector)
        except KubeError:
            return
        newest = max(listing.items, key=_event_time, default=None)
        if newest is not None:
            found[uid(pod)] = (text(newest.get("reason")), text(newest.get("message")))

    raise_first(await in_parallel(read, [pod for pod in pods if waits_for_set_up(pod)][:MOST_LOGS]))
    return found


def _event_time(event: Manifest) -> str:
    return text(event.get("lastTimestamp")) or text(event.get("eventTime")) or text(metadata(event).get("creationTimestamp"))
