"""What the API server refuses: unknown fields, wrong types, missing and immutable fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.local_cluster.in_memory import selectors, typed
from deploy.local_cluster.in_memory.errors import cause
from deploy.local_cluster.in_memory.kinds import Kind
from deploy.local_cluster.in_memory.schema import Type

Obj = dict[str, Any]
Causes = list[dict[str, str]]

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LOOSE_NAMES = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
_CONFIG_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")


def unknown_fields(kind: Type, value: Any, path: str = "", merge_keys: bool = False) -> list[str]:
    """Paths of fields that the type does not declare, as strict decoding names them (``spec.containers[0].foo``).

    With ``merge_keys`` items are named as server-side apply names them (``spec.containers[name="web"].foo``).
    """
    found: list[str] = []
    if isinstance(value, dict) and kind.shape == "map":
        for key, inner in value.items():
            child = kind.child(key)
            here = f"{path}.{key}" if path else key
            if child is None:
                found.append(here)
            elif isinstance(inner, dict | list):
                found.extend(unknown_fields(child, inner, here, merge_keys))
    elif isinstance(value, list) and kind.shape == "list" and kind.element is not None:
        for index, item in enumerate(value):
            shown = typed.shown_item(kind, item, index) if merge_keys else f"[{index}]"
            found.extend(unknown_fields(kind.element, item, path + shown, merge_keys))
    return found


def known_only(kind: Type, value: Any) -> Any:
    """A copy without the fields that the type does not declare."""
    if isinstance(value, dict) and kind.shape == "map":
        result = {}
        for key, inner in value.items():
            child = kind.child(key)
            if child is not None:
                result[key] = known_only(child, inner) if isinstance(inner, dict | list) else inner
        return result
    if isinstance(value, list) and kind.shape == "list" and kind.element is not None:
        return [known_only(kind.element, item) for item in value]
    return value


def type_problems(kind: Type, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Values of a wrong type: path and what was expected (nulls are absent fields)."""
    if value is None or kind.shape == "any":
        return
    if kind.shape == "map":
        if not isinstance(value, dict):
            yield path, f"expected map, got {_name(value)}"
            return
        for key, inner in value.items():
            child = kind.child(key)
            if child is not None:
                yield from type_problems(child, inner, f"{path}.{key}")
    elif kind.shape == "list":
        if not isinstance(value, list):
            yield path, f"expected list, got {_name(value)}"
        elif kind.element is not None:
            for index, item in enumerate(value):
                yield from type_problems(kind.element, item, f"{path}[{index}]")
    else:
        problem = _scalar_problem(kind.scalar, value)
        if problem:
            yield path, problem


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", int: "int", float: "float", dict: "map", list: "list"}
    return names.get(type(value), "null")


def _scalar_problem(scalar: str, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if scalar in ("string", "time"):
        return "" if isinstance(value, str) else f"expected string, got {_name(value)}"
    if scalar in ("integer", "number"):
        return "" if is_number else f"expected numeric (int or float), got {_name(value)}"
    if scalar == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got {_name(value)}"
    return "" if is_number or isinstance(value, str) else f"expected string or number, got {_name(value)}"


def problems(kind: Kind, obj: Obj) -> Causes:
    """What is missing or wrong in a defaulted object."""
    found = list(_name_problems(kind, obj))
    for part in kind.type.fields:
        if part in ("metadata", "status", "apiVersion", "kind"):
            continue
        if part in obj:
            found.extend(_missing(kind.type.fields[part], obj[part], part))
        elif part in kind.type.required:
            found.append(cause(part, "FieldValueRequired", "Required value"))
    if not found and not kind.custom:
        found.extend(_kind_problems(obj))
    return found


def _name_problems(kind: Kind, obj: Obj) -> Iterator[dict[str, str]]:
    name = obj["metadata"]["name"]
    if kind.kind not in _LOOSE_NAMES and (not _SUBDOMAIN.match(name) or len(name) > 253):
        yield cause(
            "metadata.name",
            "FieldValueInvalid",
            f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower '
            "case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        )


def _missing(kind: Type, value: Any, path: str) -> Iterator[dict[str, str]]:
    if isinstance(value, dict) and kind.shape == "map":
        for key in kind.required:
            if value.get(key) is None or value[key] == "":
                yield cause(f"{path}.{key}", "FieldValueRequired", "Required value")
        for key, inner in value.items():
            child = kind.child(key)
            if child is not None and isinstance(inner, dict | list):
                yield from _missing(child, inner, f"{path}.{key}")
    elif isinstance(value, list) and kind.element is not None:
        for index, item in enumerate(value):
            yield from _missing(kind.element, item, f"{path}[{index}]")


def _kind_problems(obj: Obj) -> Iterator[dict[str, str]]:
    kind = obj["kind"]
    spec = obj.get("spec") or {}
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        yield from _workload_problems(spec)
    if kind == "Pod":
        yield from _container_problems(spec, "spec")
    if kind == "Job":
        yield from _container_problems(spec["template"].get("spec") or {}, "spec.template.spec")
        if (spec["template"].get("spec") or {}).get("restartPolicy") == "Always":
            yield cause(
                "spec.template.spec.restartPolicy",
                "FieldValueNotSupported",
                'Unsupported value: "Always": supported values: "OnFailure", "Never"',
            )
    if kind in ("ConfigMap", "Secret"):
        for key in obj.get("data") or {}:
            if not _CONFIG_KEY.match(key):
                yield cause(
                    f"data[{key}]",
                    "FieldValueInvalid",
                    f"Invalid value: \"{key}\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                )
    if kind == "Service" and spec.get("type") != "ExternalName" and not spec.get("ports") and spec.get("clusterIP") != "None":
        yield cause("spec.ports", "FieldValueRequired", "Required value")


def _workload_problems(spec: Obj) -> Iterator[dict[str, str]]:
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selectors.matches(spec.get("selector"), labels):
        yield cause(
            "spec.template.metadata.labels", "FieldValueInvalid", f"Invalid value: {labels!r}: `selector` does not match template `labels`"
        )
    yield from _container_problems((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")


def _container_problems(spec: Obj, path: str) -> Iterator[dict[str, str]]:
    if not spec.get("containers"):
        yield cause(f"{path}.containers", "FieldValueRequired", "Required value")
    for part in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(part) or ()):
            if not container.get("image"):
                yield cause(f"{path}.{part}[{index}].image", "FieldValueRequired", "Required value")


_IMMUTABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "Job": ("spec.selector", "spec.completionMode", "spec.template", "spec.podFailurePolicy"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Secret": ("type",),
    "StorageClass": ("provisioner", "parameters"),
    "CustomResourceDefinition": ("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
    "PriorityClass": ("value",),
    "PersistentVolumeClaim": ("spec.storageClassName", "spec.accessModes", "spec.volumeMode"),
}
_STATEFUL_SET_MAY_CHANGE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)


def changed_immutables(obj: Obj, before: Obj, custom: bool = False) -> Causes:
    """Fields that may not change but did."""
    if custom:
        return []
    kind = obj["kind"]
    found = [
        cause(path, "FieldValueInvalid", f"Invalid value: {_at(obj, path)!r}: field is immutable")
        for path in _IMMUTABLE.get(kind, ())
        if _at(before, path) != _at(obj, path)
    ]
    if kind == "StatefulSet" and _fixed(obj["spec"]) != _fixed(before["spec"]):
        found.append(
            cause(
                "spec",
                "FieldValueForbidden",
                "Forbidden: updates to statefulset spec for fields other than 'replicas', "
                "'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' "
                "and 'minReadySeconds' are forbidden",
            )
        )
    if kind == "Service" and before["spec"].get("clusterIP") and obj["spec"].get("clusterIP") != before["spec"]["clusterIP"]:
        found.append(
            cause(
                "spec.clusterIPs[0]", "FieldValueInvalid", f"Invalid value: {[obj['spec'].get('clusterIP', '')]!r}: may not change once set"
            )
        )
    if kind in ("ConfigMap", "Secret") and before.get("immutable") and _payload(obj) != _payload(before):
        found.append(cause("data", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"))
    if kind == "Pod" and _fixed_pod(obj["spec"]) != _fixed_pod(before["spec"]):
        found.append(
            cause(
                "spec",
                "FieldValueForbidden",
                "Forbidden: pod updates may not change fields other than "
                "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
                "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds`",
            )
        )
    return found


def _fixed(spec: Obj) -> Obj:
    return {key: value for key, value in spec.items() if key not in _STATEFUL_SET_MAY_CHANGE}


def _fixed_pod(spec: Obj) -> Obj:
    may_change = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "containers", "initContainers")
    fixed = {key: value for key, value in spec.items() if key not in may_change}
    for part in ("containers", "initContainers"):
        fixed[part] = [{key: value for key, value in container.items() if key != "image"} for container in spec.get(part) or ()]
    return fixed


def _payload(obj: Obj) -> tuple[Any, ...]:
    return (obj.get("data"), obj.get("binaryData"), obj.get("immutable"))


def _at(obj: Obj, path: str) -> Any:
    here: Any = obj
    for key in path.split("."):
        here = here.get(key) if isinstance(here, dict) else None
    return here
