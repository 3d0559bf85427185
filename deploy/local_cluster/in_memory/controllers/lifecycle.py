"""Namespaces, CustomResourceDefinitions, claims and the scheduling of pods."""

from __future__ import annotations

from deploy.local_cluster.in_memory.controllers import parts
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.deleting import CRD_CLEANUP
from deploy.local_cluster.in_memory.errors import ApiError
from deploy.local_cluster.in_memory.storage import Key, Obj

_CRDS = "customresourcedefinitions.apiextensions.k8s.io"
_CLAIMS = "persistentvolumeclaims"
_CLASSES = "storageclasses.storage.k8s.io"


def sync_namespace(hands: Hands, key: Key) -> None:
    """Give a new namespace what every namespace has; empty one that is being deleted, then let it go."""
    namespace = hands.store.get("namespaces", key)
    if namespace is None:
        return
    name = key[1]
    if not parts.is_deleting(namespace):
        _furnish(hands, name)
        return
    left = 0
    for kind_id in hands.store.kinds():
        for obj in hands.store.all(kind_id, name):
            if not parts.is_deleting(obj):
                hands.delete(obj)
            left += hands.store.get(kind_id, parts.key_of(obj)) is not None
    if not left and namespace["spec"].get("finalizers"):
        hands.store.put("namespaces", {**namespace, "spec": {}, "metadata": dict(namespace["metadata"])})
        if not namespace["metadata"].get("finalizers"):
            hands.store.remove("namespaces", key)


def _furnish(hands: Hands, name: str) -> None:
    if hands.store.get("serviceaccounts", (name, "default")) is None:
        hands.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
    if hands.store.get("configmaps", (name, "kube-root-ca.crt")) is None:
        hands.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": name},
                "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"},
            }
        )


def sync_definition(hands: Hands, key: Key) -> None:
    """Establish a CustomResourceDefinition, or delete its resources before it goes."""
    definition = hands.store.get(_CRDS, key)
    if definition is None:
        return
    spec = definition["spec"]
    kind_id = f"{spec['names']['plural']}.{spec['group']}"
    if parts.is_deleting(definition):
        left = hands.store.all(kind_id)
        for obj in left:
            if not parts.is_deleting(obj):
                hands.delete(obj)
        if not hands.store.all(kind_id):
            kept = [name for name in definition["metadata"].get("finalizers") or () if name != CRD_CLEANUP]
            if len(kept) < len(definition["metadata"].get("finalizers") or ()):
                hands.patch(definition, {"metadata": {"finalizers": kept or None}})
        return
    hands.set_status(definition, _definition_status(hands, definition))


def _definition_status(hands: Hands, definition: Obj) -> Obj:
    before = definition.get("status") or {}
    text = parts.written_time(hands.now())
    conditions = list(before.get("conditions") or [])
    for kind, reason, message in (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ):
        new = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": text}
        conditions = parts.with_condition(conditions, new)
    stored = [version["name"] for version in definition["spec"]["versions"] if version.get("storage")]
    known = before.get("storedVersions") or []
    return {
        "acceptedNames": definition["spec"]["names"],
        "conditions": conditions,
        "storedVersions": known + [name for name in stored if name not in known],
    }


def sync_claim(hands: Hands, key: Key) -> None:
    """Bind a claim whose class exists: at once, or when a pod uses it, as the class says. Release it when no pod does."""
    claim = hands.store.get(_CLAIMS, key)
    if claim is None:
        return
    users = [pod for pod in hands.store.all("pods", key[0]) if parts.phase(pod) not in ("Succeeded", "Failed") and key[1] in claims_of(pod)]
    finalizers = claim["metadata"].get("finalizers") or []
    if parts.is_deleting(claim):
        if not users and "kubernetes.io/pvc-protection" in finalizers:
            kept = [name for name in finalizers if name != "kubernetes.io/pvc-protection"]
            hands.patch(claim, {"metadata": {"finalizers": kept or None}})
        return
    storage_class = hands.store.get(_CLASSES, ("", claim["spec"].get("storageClassName", "")))
    if storage_class is None or (claim.get("status") or {}).get("phase") == "Bound":
        return
    if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not users:
        return
    volume = f"pvc-{claim['metadata']['uid']}"
    claim = hands.patch(claim, {"spec": {"volumeName": volume}, "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}})
    capacity = (claim["spec"].get("resources") or {}).get("requests") or {}
    hands.set_status(claim, {"phase": "Bound", "accessModes": claim["spec"].get("accessModes") or [], "capacity": capacity})


def claims_of(pod: Obj) -> set[str]:
    """Names of the claims that a pod mounts."""
    sources = [volume.get("persistentVolumeClaim") for volume in pod["spec"].get("volumes") or ()]
    return {source["claimName"] for source in sources if source}


def sync_pod_placement(hands: Hands, key: Key) -> None:
    """Give a pod that has none a node: the ready one with the fewest pods."""
    pod = hands.store.get("pods", key)
    if pod is None or pod["spec"].get("nodeName") or not parts.is_active(pod):
        return
    nodes = hands.store.all("nodes")
    fitting = [node for node in nodes if _takes(node, pod)]
    missing = [name for name in claims_of(pod) if not _is_claim_usable(hands, key[0], name)]
    text = parts.written_time(hands.now())
    if not fitting or missing:
        message = (
            f"0/{len(nodes)} nodes are available: persistentvolumeclaim {missing[0]!r} not found or unbound."
            if missing
            else "no nodes available to schedule pods"
            if not nodes
            else f"0/{len(nodes)} nodes are available: {len(nodes)} node(s) were not ready or didn't match Pod's node affinity/selector."
        )
        new = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": text}
        status = pod.get("status") or {}
        hands.set_status(pod, {**status, "conditions": parts.with_condition(status.get("conditions") or [], new)})
        return
    load = {node["metadata"]["name"]: 0 for node in fitting}
    for other in hands.store.all("pods") if len(fitting) > 1 else ():
        name = other["spec"].get("nodeName")
        if name in load:
            load[name] += 1
    chosen = min(load, key=lambda name: (load[name], name))
    pod = hands.patch(pod, {"spec": {"nodeName": chosen}})
    status = pod.get("status") or {}
    new = {"type": "PodScheduled", "status": "True", "lastTransitionTime": text}
    hands.set_status(pod, {**status, "conditions": parts.with_condition(status.get("conditions") or [], new)})


def _takes(node: Obj, pod: Obj) -> bool:
    ready = parts.condition(node.get("status"), "Ready")
    if ready is None or ready["status"] != "True" or node.get("spec", {}).get("unschedulable") or parts.is_deleting(node):
        return False
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in (pod["spec"].get("nodeSelector") or {}).items())


def _is_claim_usable(hands: Hands, namespace: str, name: str) -> bool:
    claim = hands.store.get(_CLAIMS, (namespace, name))
    if claim is None:
        return False
    if (claim.get("status") or {}).get("phase") == "Bound":
        return True
    storage_class = hands.store.get(_CLASSES, ("", claim["spec"].get("storageClassName", "")))
    return storage_class is not None


def give_up_node(hands: Hands, key: Key) -> None:
    """Delete the pods of a node that is gone, as nobody would ever end them."""
    for pod in hands.store.all("pods"):
        if pod["spec"].get("nodeName") == key[1] and hands.store.get("nodes", key) is None:
            try:
                hands.delete(pod)
            except ApiError as error:
                if error.code != 404:
                    raise
