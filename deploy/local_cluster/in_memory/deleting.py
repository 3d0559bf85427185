"""DELETE of one cluster: preconditions, graceful deletion, finalizers and propagation. Synchronous; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deploy.local_cluster.in_memory import errors
from deploy.local_cluster.in_memory.admission import Admission
from deploy.local_cluster.in_memory.kinds import Kind
from deploy.local_cluster.in_memory.storage import Key, Obj, Store
from deploy.local_cluster.in_memory.writing import timestamp

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


@dataclass(frozen=True)
class DeleteOptions:
    """What a DELETE request asks for."""

    grace_s: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, body: dict[str, Any], query: dict[str, str]) -> DeleteOptions:
        """From the body (``DeleteOptions``) and the query; the body wins."""
        preconditions = body.get("preconditions") or {}
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        dry_run = body.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
        return cls(
            None if grace is None else int(grace),
            body.get("propagationPolicy") or query.get("propagationPolicy", ""),
            preconditions.get("uid", ""),
            preconditions.get("resourceVersion", ""),
            bool(dry_run),
        )


class Deleting:
    """Deletes objects of a store, by the rules of the API server."""

    def __init__(self, store: Store, admission: Admission, now: Callable[[], datetime]) -> None:
        self._store = store
        self._admission = admission
        self._now = now

    def delete(self, kind: Kind, key: Key, options: DeleteOptions) -> Obj:
        """Delete an object, or mark it as being deleted while finalizers, a kubelet or its content hold it.

        Returns:
            A ``Status`` when it is gone, else the object with its ``deletionTimestamp``.

        Raises:
            ApiError: 403, 404, or 409 when a precondition does not hold.
        """
        obj = self._store.get(kind.id, key)
        if obj is None:
            raise errors.not_found(kind, key[1])
        self._check_preconditions(kind, obj, options)
        self._admission.check_delete(kind, key[1])
        finalizers = self._finalizers(kind, obj, options)
        grace_s = self._grace_s(kind, obj, options)
        held = bool(finalizers) or grace_s > 0 or (kind.kind == "Namespace" and bool(obj["spec"].get("finalizers")))
        if options.dry_run:
            return obj if held else _gone(kind, obj)
        if not held:
            last = self._store.remove(kind.id, key)
            return last if kind.kind == "Pod" else _gone(kind, obj)
        return self._mark(kind, obj, finalizers, grace_s)

    def _check_preconditions(self, kind: Kind, obj: Obj, options: DeleteOptions) -> None:
        metadata = obj["metadata"]
        if options.uid and options.uid != metadata["uid"]:
            raise errors.lost_object(
                kind,
                metadata["name"],
                f"the UID in the precondition ({options.uid}) does not match the UID in "
                f"record ({metadata['uid']}). The object might have been deleted and then recreated",
            )
        if options.resource_version and options.resource_version != metadata["resourceVersion"]:
            raise errors.lost_object(
                kind,
                metadata["name"],
                f"the ResourceVersion in the precondition ({options.resource_version}) does "
                f"not match the ResourceVersion in record ({metadata['resourceVersion']}). "
                "The object might have been modified",
            )

    def _finalizers(self, kind: Kind, obj: Obj, options: DeleteOptions) -> list[str]:
        finalizers = [name for name in obj["metadata"].get("finalizers") or () if name not in (FOREGROUND, ORPHAN)]
        if kind.kind == "CustomResourceDefinition" and not kind.custom and not obj["metadata"].get("deletionTimestamp"):
            finalizers.append(CRD_CLEANUP)
        policy = options.propagation
        if not policy:
            existing = obj["metadata"].get("finalizers") or ()
            default = "Orphan" if kind.kind == "Job" else "Background"
            policy = "Foreground" if FOREGROUND in existing else "Orphan" if ORPHAN in existing else default
        if policy == "Foreground":
            finalizers.append(FOREGROUND)
        elif policy == "Orphan":
            finalizers.append(ORPHAN)
        elif policy != "Background":
            raise errors.invalid(
                kind,
                obj["metadata"]["name"],
                [
                    errors.cause(
                        "propagationPolicy", "FieldValueInvalid", f'Invalid value: "{policy}": must be Foreground, Background or Orphan'
                    )
                ],
            )
        return finalizers

    def _grace_s(self, kind: Kind, obj: Obj, options: DeleteOptions) -> int:
        if kind.kind != "Pod":
            return 0
        if not obj["spec"].get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        if options.grace_s is not None:
            return options.grace_s
        return int(obj["spec"].get("terminationGracePeriodSeconds", 30))

    def _mark(self, kind: Kind, obj: Obj, finalizers: list[str], grace_s: int) -> Obj:
        metadata = dict(obj["metadata"])
        if finalizers:
            metadata["finalizers"] = finalizers
        else:
            metadata.pop("finalizers", None)
        if not metadata.get("deletionTimestamp"):
            metadata["deletionTimestamp"] = timestamp(self._now() + timedelta(seconds=grace_s))
            if kind.kind != "Namespace":
                metadata["deletionGracePeriodSeconds"] = grace_s
            if metadata.get("generation"):
                metadata["generation"] += 1
        elif kind.kind == "Pod" and grace_s < metadata.get("deletionGracePeriodSeconds", 0):
            metadata["deletionGracePeriodSeconds"] = grace_s
        marked = {**obj, "metadata": metadata}
        if kind.kind == "Namespace":
            marked["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        if metadata == obj["metadata"]:
            return obj
        return self._store.put(kind.id, marked)


def _gone(kind: Kind, obj: Obj) -> Obj:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": errors.details_of(kind, obj["metadata"]["name"], obj["metadata"]["uid"]),
    }
