"""The writing verbs of one cluster: create, apply, patch, replace. Synchronous; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.local_cluster.in_memory import defaults, errors, managers, patches, typed, validation
from deploy.local_cluster.in_memory.admission import Admission
from deploy.local_cluster.in_memory.field_sets import FieldSet
from deploy.local_cluster.in_memory.kinds import Kind
from deploy.local_cluster.in_memory.storage import Key, Obj, Store

_FIXED_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion")
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Options:
    """What the query of a writing request says."""

    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"
    force: bool = False
    subresource: str = ""


def timestamp(now: datetime) -> str:
    """RFC 3339 with whole seconds, as the API writes times."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


class Writing:
    """Creates and changes objects in a store, by the rules of the API server."""

    def __init__(self, store: Store, admission: Admission, now: Callable[[], datetime], new_uid: Callable[[], str]) -> None:
        self._store = store
        self._admission = admission
        self._now = now
        self._new_uid = new_uid

    def create(self, kind: Kind, namespace: str, sent: Obj, options: Options) -> Obj:
        """POST: make a new object.

        Raises:
            ApiError: 400, 403, 404 (no such namespace), 409 (name taken) or 422.
        """
        obj = self._decoded(kind, namespace, "", sent, options)
        metadata = obj["metadata"]
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                missing = errors.cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
                raise errors.invalid(kind, "", [missing])
            metadata["name"] = metadata["generateName"] + self._new_uid()[:5]
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        if self._store.get(kind.id, (namespace, metadata["name"])) is not None:
            raise errors.already_exists(kind, metadata["name"])
        requested = metadata.pop("managedFields", None)
        if kind.status and kind.kind != "Namespace":
            obj.pop("status", None)
        defaults.fill(obj, kind.type)
        managed: managers.Managed = {}
        if requested != []:
            managed = managers.update(kind.type, {}, obj, {}, self._writer(kind, options, managers.UPDATE), _ignored(kind, options))
        return self._store_new(kind, obj, managed, options)

    def apply(self, kind: Kind, key: Key, sent: Obj, options: Options) -> tuple[bool, Obj]:
        """Server-side apply; returns whether the object was created, and the object.

        Raises:
            ApiError: 400, 404, 409 with the managers and fields in conflict, or 422.
        """
        config = self._decoded(kind, key[0], key[1], sent, options, is_apply=True)
        if config["metadata"].get("managedFields") is not None:
            raise errors.bad_request("metadata.managedFields must be nil")
        before = self._store.get(kind.id, key)
        if before is None and options.subresource:
            raise errors.not_found(kind, key[1])
        self._check_apply_preconditions(kind, config, before)
        live = _bare(before) if before is not None else {}
        managed = managers.decode(before["metadata"].get("managedFields")) if before is not None else {}
        writer = self._writer(kind, options, managers.APPLY)
        try:
            merged, managed = managers.apply(kind.type, live, config, managed, writer, options.force, _ignored(kind, options))
        except managers.ApplyConflictError as error:
            raise errors.ApiError(409, "Conflict", str(error), {"causes": error.causes()}) from error
        except typed.MergeKeyError as error:
            problem = typed.key_problem(kind.type, config) or error
            raise errors.ApiError(500, "", f"failed to create typed patch object ({_identity(kind, key)}): {problem}") from error
        if before is None:
            merged = defaults.decoded(merged, kind.type)
            if kind.status and kind.kind != "Namespace":
                merged.pop("status", None)
            defaults.fill(merged, kind.type)
            return True, self._store_new(kind, merged, managed, options)
        if merged != live:
            merged = defaults.decoded(merged, kind.type)
            defaults.fill(merged, kind.type)
        return False, self._store_changed(kind, before, merged, managed, options)

    def _check_apply_preconditions(self, kind: Kind, config: Obj, before: Obj | None) -> None:
        metadata = config["metadata"]
        if before is not None and metadata.get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
            raise _fixed_uid(kind, metadata)
        if before is None and metadata.get("uid"):
            raise errors.conflict(
                kind,
                metadata["name"],
                f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found",
            )
        if before is None and metadata.get("resourceVersion"):
            raise errors.modified(kind, metadata["name"])

    def patch(self, kind: Kind, key: Key, sent: Any, content_type: str, options: Options) -> Obj:
        """PATCH with a JSON, merge or strategic merge patch.

        Raises:
            ApiError: 400, 404, 409, 415 or 422.
        """
        before = self._existing(kind, key)
        try:
            if content_type == JSON_PATCH:
                patched = patches.json_patch(before, sent)
            elif content_type == MERGE_PATCH:
                patched = patches.merge_patch(before, sent)
            elif content_type == STRATEGIC_PATCH and not kind.custom:
                patched = patches.strategic_merge(kind.type, before, sent)
            else:
                raise errors.ApiError(415, "UnsupportedMediaType", f'the body of the request was in an unknown format: "{content_type}"')
        except patches.PatchError as error:
            raise errors.ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {error}") from error
        return self._replaced(kind, key, before, self._decoded(kind, key[0], key[1], patched, options), options, is_patch=True)

    def replace(self, kind: Kind, key: Key, sent: Obj, options: Options) -> Obj:
        """PUT.

        Raises:
            ApiError: 400, 404, 409 (the object has changed since it was read) or 422.
        """
        before = self._existing(kind, key)
        return self._replaced(kind, key, before, self._decoded(kind, key[0], key[1], sent, options), options)

    def _replaced(self, kind: Kind, key: Key, before: Obj, new: Obj, options: Options, is_patch: bool = False) -> Obj:
        wanted_uid = new["metadata"].get("uid")
        if wanted_uid and wanted_uid != before["metadata"]["uid"]:
            if is_patch:
                raise _fixed_uid(kind, new["metadata"])
            raise errors.conflict(
                kind, key[1], f"Precondition failed: UID in precondition: {wanted_uid}, UID in object meta: {before['metadata']['uid']}"
            )
        requested = new["metadata"].pop("managedFields", None)
        managed = managers.decode(before["metadata"].get("managedFields"))
        if not options.subresource and requested is not None:
            asked = managers.decode(requested)
            managed = {} if managers.is_reset(requested) else (asked or managed)
        if options.subresource == "status":
            new = _only_status(before, new)
        elif kind.status and "status" in before:
            new["status"] = before["status"]
        elif kind.status:
            new.pop("status", None)
        if not options.subresource:
            defaults.fill(new, kind.type)
        new.pop("managedFields", None)
        live = _bare(before)
        self._keep_fixed(kind, before, new)
        managed = managers.update(kind.type, live, new, managed, self._writer(kind, options, managers.UPDATE), _ignored(kind, options))
        return self._store_changed(kind, before, new, managed, options)

    def _decoded(self, kind: Kind, namespace: str, name: str, sent: Any, options: Options, is_apply: bool = False) -> Obj:
        """The request's object: checked against the path and the schema, copied, with its name and namespace set."""
        if not isinstance(sent, dict):
            raise errors.bad_request("the body of the request is no object")
        if sent.get("kind", kind.kind) != kind.kind or sent.get("apiVersion", kind.api_version) != kind.api_version:
            raise errors.bad_request(
                f"the API version in the data ({sent.get('apiVersion')}, Kind={sent.get('kind')}) does not match the "
                f"expected API version ({kind.api_version}, Kind={kind.kind})"
            )
        obj = (
            self._applied_fields(kind, (str((sent.get("metadata") or {}).get("namespace", "")), name), sent)
            if is_apply
            else _typed_fields(kind, sent, options.field_validation == "Strict")
        )
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        metadata = obj.setdefault("metadata", {})
        if name and metadata.get("name", name) != name:
            raise errors.bad_request(f"the name of the object ({metadata.get('name')}) does not match the name on the URL ({name})")
        if namespace and metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if name:
            metadata["name"] = name
        metadata.pop("namespace", None)
        if namespace:
            metadata["namespace"] = namespace
        return obj

    def _applied_fields(self, kind: Kind, key: Key, sent: Obj) -> Obj:
        """A copy of what is applied. Unknown fields and wrong types are errors in every mode of validation, and none of the client."""
        unknown = validation.unknown_fields(kind.type, sent, merge_keys=True)
        wrong = next(validation.type_problems(kind.type, sent), None)
        if unknown or wrong is not None:
            problem = f".{unknown[0]}: field not declared in schema" if unknown or wrong is None else f"{wrong[0]}: {wrong[1]}"
            raise errors.ApiError(500, "", f"failed to create typed patch object ({_identity(kind, key)}): {problem}")
        obj: Obj = defaults.clone(sent)
        return obj

    def _writer(self, kind: Kind, options: Options, operation: str) -> managers.Writer:
        return managers.Writer(options.manager, operation, kind.api_version, timestamp(self._now()), options.subresource)

    def _existing(self, kind: Kind, key: Key) -> Obj:
        found = self._store.get(kind.id, key)
        if found is None:
            raise errors.not_found(kind, key[1])
        return found

    def _store_new(self, kind: Kind, obj: Obj, managed: managers.Managed, options: Options) -> Obj:
        metadata = obj["metadata"]
        for name in _FIXED_METADATA:
            metadata.pop(name, None)
        metadata["uid"] = self._new_uid()
        metadata["creationTimestamp"] = timestamp(self._now())
        if kind.generation:
            metadata["generation"] = 1
        if managed:
            metadata["managedFields"] = managers.encode(managed)
        self._admission.admit_new(kind, obj)
        self._check(kind, obj, None)
        if options.dry_run:
            return obj
        return self._store.put(kind.id, obj)

    def _store_changed(self, kind: Kind, before: Obj, new: Obj, managed: managers.Managed, options: Options) -> Obj:
        """Store a changed object; one that is the same as before is not written, and keeps its version."""
        sent_version = new["metadata"].get("resourceVersion")
        old = before["metadata"]
        if sent_version and sent_version != old["resourceVersion"]:
            raise errors.modified(kind, old["name"])
        self._keep_fixed(kind, before, new)
        if kind.generation and options.subresource != "status" and _payload(new) != _payload(before):
            new["metadata"]["generation"] = old.get("generation", 0) + 1
        new["metadata"].pop("managedFields", None)
        if managed:
            new["metadata"]["managedFields"] = managers.encode(managed)
        self._admission.admit_change(kind, new, before)
        if old.get("deletionTimestamp"):
            _check_finalizers(kind, new, before)
        if options.subresource != "status":
            self._check(kind, new, before)
        if new == before:
            return before
        if options.dry_run:
            return new
        if old.get("deletionTimestamp") and not new["metadata"].get("finalizers") and _may_vanish(kind, new):
            self._store.put(kind.id, new)
            return self._store.remove(kind.id, (old.get("namespace", ""), old["name"]))
        return self._store.put(kind.id, new)

    def _keep_fixed(self, kind: Kind, before: Obj, new: Obj) -> None:
        new["metadata"] = {key: value for key, value in new["metadata"].items() if key == "resourceVersion" or key not in _FIXED_METADATA}
        for name in _FIXED_METADATA:
            if name in before["metadata"] and name not in new["metadata"]:
                new["metadata"][name] = before["metadata"][name]

    def _check(self, kind: Kind, obj: Obj, before: Obj | None) -> None:
        causes = validation.problems(kind, obj)
        if before is not None:
            causes = causes or validation.changed_immutables(obj, before, kind.custom)
        if causes:
            raise errors.invalid(kind, obj["metadata"]["name"], causes)


def _fixed_uid(kind: Kind, metadata: Obj) -> errors.ApiError:
    problem = f'Invalid value: "{metadata["uid"]}": field is immutable'
    return errors.invalid(kind, metadata["name"], [errors.cause("metadata.uid", "FieldValueInvalid", problem)])


def _typed_fields(kind: Kind, sent: Obj, strict: bool) -> Obj:
    """A copy of what was sent, without nulls and unknown fields.

    Raises:
        ApiError: 400 for a wrong type, or for unknown fields where validation is strict.
    """
    undecodable = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
    problem = next(validation.type_problems(kind.type, sent), None)
    if problem is not None:
        raise errors.bad_request(f"{undecodable}: {problem[0]}: {problem[1]}")
    unknown = validation.unknown_fields(kind.type, sent)
    if unknown and strict:
        shown = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise errors.bad_request(f"{undecodable}: strict decoding error: {shown}")
    obj: Obj = defaults.decoded(validation.known_only(kind.type, sent) if unknown else sent, kind.type)
    return obj


def _check_finalizers(kind: Kind, new: Obj, before: Obj) -> None:
    added = [name for name in new["metadata"].get("finalizers") or () if name not in (before["metadata"].get("finalizers") or ())]
    if added:
        problem = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added!r}"
        raise errors.invalid(kind, new["metadata"]["name"], [errors.cause("metadata.finalizers", "FieldValueForbidden", problem)])


def _bare(obj: Obj) -> Obj:
    """The object without its ``managedFields``."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def _payload(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _only_status(before: Obj, new: Obj) -> Obj:
    result = {key: value for key, value in before.items() if key != "status"}
    metadata = {key: value for key, value in before["metadata"].items() if key not in ("managedFields", "resourceVersion")}
    if new["metadata"].get("resourceVersion"):
        metadata["resourceVersion"] = new["metadata"]["resourceVersion"]
    result["metadata"] = metadata
    if "status" in new:
        result["status"] = new["status"]
    return result


def _may_vanish(kind: Kind, obj: Obj) -> bool:
    """Whether nothing but finalizers kept a deleted object: pods also wait for their kubelet, namespaces for their content."""
    if kind.kind == "Namespace":
        return not obj["spec"].get("finalizers")
    return not (kind.kind == "Pod" and obj["metadata"].get("deletionGracePeriodSeconds"))


def _ignored(kind: Kind, options: Options) -> FieldSet:
    if options.subresource == "status":
        return {f"f:{name}": {} for name in (*kind.type.fields, "spec", "metadata", "data") if name != "status"}
    return {"f:status": {}} if kind.status else {}


def _identity(kind: Kind, key: Key) -> str:
    return f"{key[0]}/{key[1]}; {kind.api_version}, Kind={kind.kind}"
