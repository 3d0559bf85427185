"""What admission and the registry add at a write: cluster IPs, service accounts, and the namespace rules."""

from __future__ import annotations

from typing import Any

from deploy.local_cluster.in_memory import errors
from deploy.local_cluster.in_memory.kinds import Kind
from deploy.local_cluster.in_memory.storage import Store

Obj = dict[str, Any]
_PROTECTED = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


class Admission:
    """Refuses or completes objects just before they are stored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next_ip = 10

    def admit_new(self, kind: Kind, obj: Obj) -> None:
        """Check the namespace of a new object and complete it, in place.

        Raises:
            ApiError: 404 when the namespace does not exist, 403 when it is being deleted.
        """
        if kind.namespaced:
            self._check_namespace(kind, obj)
        if kind.kind == "Service":
            self._allocate_ip(obj)
        elif kind.kind == "Pod":
            self._complete_pod(obj)
        elif kind.kind == "Job":
            self._complete_job(obj)
        elif kind.kind == "PersistentVolumeClaim":
            obj["metadata"].setdefault("finalizers", ["kubernetes.io/pvc-protection"])
            self._default_class(obj)
        elif kind.kind == "CustomResourceDefinition":
            stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")]
            obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}

    def admit_change(self, kind: Kind, obj: Obj, before: Obj) -> None:
        """Complete a changed object, in place, with what the cluster allocated for it before."""
        if kind.kind == "Service" and obj["spec"].get("type") != "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if name in before["spec"] and not obj["spec"].get(name):
                    obj["spec"][name] = before["spec"][name]

    def check_delete(self, kind: Kind, name: str) -> None:
        """Refuse to delete what every cluster needs.

        Raises:
            ApiError: 403 for the namespaces of the system.
        """
        if kind.kind == "Namespace" and name in _PROTECTED:
            raise errors.forbidden(kind, name, "this namespace may not be deleted")

    def _check_namespace(self, kind: Kind, obj: Obj) -> None:
        name = obj["metadata"].get("namespace", "")
        namespace = self._store.get("namespaces", ("", name))
        if namespace is None:
            raise errors.ApiError(404, "NotFound", f'namespaces "{name}" not found', {"name": name, "kind": "namespaces"})
        if namespace["metadata"].get("deletionTimestamp"):
            error = errors.forbidden(
                kind, obj["metadata"]["name"], f"unable to create new content in namespace {name} because it is being terminated"
            )
            error.details["causes"] = [errors.cause("metadata.namespace", "NamespaceTerminating", f"namespace {name} is being terminated")]
            raise error

    def _allocate_ip(self, obj: Obj) -> None:
        spec = obj["spec"]
        if spec.get("type") == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = f"10.43.{self._next_ip // 250}.{self._next_ip % 250 + 1}"
            self._next_ip += 1
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        obj["status"] = {"loadBalancer": {}}

    def _complete_pod(self, obj: Obj) -> None:
        spec = obj["spec"]
        spec.setdefault("serviceAccountName", "default")
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        status = obj.setdefault("status", {})
        status["phase"] = "Pending"
        limits = [(container.get("resources") or {}) for container in spec.get("containers", ())]
        status["qosClass"] = "Burstable" if any(limit.get("requests") or limit.get("limits") for limit in limits) else "BestEffort"

    def _complete_job(self, obj: Obj) -> None:
        spec = obj["spec"]
        obj["status"] = {}
        if spec.get("manualSelector"):
            return
        uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
        labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
        labels.update(
            {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name, "controller-uid": uid, "job-name": name}
        )
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}

    def _default_class(self, obj: Obj) -> None:
        if "storageClassName" in obj["spec"]:
            return
        for storage_class in self._store.all("storageclasses.storage.k8s.io"):
            annotations = storage_class["metadata"].get("annotations") or {}
            if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
                obj["spec"]["storageClassName"] = storage_class["metadata"]["name"]
