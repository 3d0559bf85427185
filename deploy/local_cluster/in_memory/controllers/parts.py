"""What the controllers share: reading owners, pods and conditions, and writing through the verbs. The readers are pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deploy.local_cluster.in_memory.deleting import DeleteOptions, Deleting
from deploy.local_cluster.in_memory.kinds import Kind, Registry
from deploy.local_cluster.in_memory.storage import Key, Obj, Store
from deploy.local_cluster.in_memory.writing import MERGE_PATCH, Options, Writing, timestamp

MANAGER = "kube-controller-manager"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Hands:
    """Writes of the controllers: the verbs of the API under the controller manager's name."""

    def __init__(
        self,
        store: Store,
        writing: Writing,
        deleting: Deleting,
        registry: Callable[[], Registry],
        now: Callable[[], datetime],
        again: Callable[[str, Key, float], None],
    ) -> None:
        self.store = store
        self.now = now
        self.again = again
        """Look at (controller, key) once more after so many seconds."""
        self._writing = writing
        self._deleting = deleting
        self._registry = registry

    def kind(self, api_version: str, kind: str) -> Kind:
        """A served kind.

        Raises:
            KeyError: it is not served.
        """
        found = self._registry().by_name(api_version, kind)
        if found is None:
            raise KeyError(f"{api_version} {kind} is not served")
        return found

    def create(self, obj: Obj) -> Obj:
        """Create an object.

        Raises:
            ApiError: as for POST.
        """
        kind = self.kind(obj["apiVersion"], obj["kind"])
        return self._writing.create(kind, obj["metadata"].get("namespace", ""), obj, Options(MANAGER))

    def set_status(self, obj: Obj, status: Obj) -> None:
        """Write a status; an equal one is not written."""
        if obj.get("status") == status:
            return
        kind = self.kind(obj["apiVersion"], obj["kind"])
        self._writing.replace(kind, key_of(obj), {**obj, "status": status}, Options(MANAGER, subresource="status"))

    def patch(self, obj: Obj, patch: Obj) -> Obj:
        """Merge a patch into an object."""
        kind = self.kind(obj["apiVersion"], obj["kind"])
        return self._writing.patch(kind, key_of(obj), patch, MERGE_PATCH, Options(MANAGER))

    def delete(self, obj: Obj, propagation: str = "Background") -> None:
        """Delete an object, if it is still the same one."""
        kind = self.kind(obj["apiVersion"], obj["kind"])
        self._deleting.delete(kind, key_of(obj), DeleteOptions(propagation=propagation, uid=obj["metadata"]["uid"]))


def key_of(obj: Obj) -> Key:
    """Namespace and name."""
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference that controls the object."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def owned(objects: list[Obj], owner: Obj) -> list[Obj]:
    """Those of ``objects`` that ``owner`` controls, oldest first."""
    uid = owner["metadata"]["uid"]
    mine = [obj for obj in objects if (reference := controller_of(obj)) is not None and reference["uid"] == uid]
    return sorted(mine, key=lambda obj: (obj["metadata"]["creationTimestamp"], int(obj["metadata"]["resourceVersion"])))


def owner_reference(owner: Obj) -> Obj:
    """A controlling reference to ``owner``."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_deleting(obj: Obj) -> bool:
    """Whether the object has a ``deletionTimestamp``."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def phase(pod: Obj) -> str:
    """Phase of a pod."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def is_active(pod: Obj) -> bool:
    """Whether a pod counts as a replica."""
    return not is_deleting(pod) and phase(pod) not in ("Succeeded", "Failed")


def ready_since(pod: Obj) -> datetime | None:
    """When the pod became ready; None when it is not."""
    found = condition(pod.get("status"), "Ready")
    if found is None or found["status"] != "True":
        return None
    return read_time(found["lastTransitionTime"]) if found.get("lastTransitionTime") else datetime.fromtimestamp(0, UTC)


def condition(status: Obj | None, kind: str) -> Obj | None:
    """The condition of that type."""
    for found in (status or {}).get("conditions") or ():
        if found["type"] == kind:
            return dict(found)
    return None


def with_condition(conditions: list[Obj], new: Obj) -> list[Obj]:
    """The conditions with ``new`` put in; its transition time stays when its status does."""
    result = []
    placed = False
    for old in conditions:
        if old["type"] != new["type"]:
            result.append(old)
            continue
        placed = True
        kept = old.get("lastTransitionTime") if old["status"] == new["status"] else None
        merged = {**new, "lastTransitionTime": kept or new["lastTransitionTime"]}
        same = all(old.get(name) == merged.get(name) for name in ("status", "reason", "message"))
        result.append(old if same and "lastUpdateTime" not in new else merged)
    return result if placed else [*result, new]


def read_time(text: str) -> datetime:
    """RFC 3339 to an aware datetime."""
    return datetime.fromisoformat(text)


def written_time(now: datetime) -> str:
    """An aware datetime to RFC 3339."""
    return timestamp(now)


def safe_hash(value: Any) -> str:
    """Ten letters that stand for a value, safe in names and labels."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def pod_from(template: Obj, owner: Obj, name: Obj, extra_labels: dict[str, str]) -> Obj:
    """A pod made of a template; ``name`` is its ``name`` or ``generateName``."""
    metadata = template.get("metadata") or {}
    result: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": template["spec"],
        "metadata": {
            **name,
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(metadata.get("labels") or {}), **extra_labels},
            "ownerReferences": [owner_reference(owner)],
        },
    }
    for part in ("annotations", "finalizers"):
        if metadata.get(part):
            result["metadata"][part] = metadata[part]
    return result


def as_count(value: int | str | None, total: int, round_up: bool) -> int:
    """A number, or a percentage of ``total``."""
    if value is None:
        return 0
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * total
        return -(-share // 100) if round_up else share // 100
    return int(value)
