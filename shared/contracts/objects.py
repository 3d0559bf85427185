"""Kubernetes objects of a release: checks that the CLI, central and the node make alike, and their normal form.

The checks know what can be known without a cluster. They go by group, kind, namespace and name, never by version: two
versions of one object are one object.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.contracts import metadata
from shared.contracts.event import ObjectRef
from shared.contracts.limits import MAX_OBJECTS
from shared.contracts.scopes import scope_of

Manifest = Mapping[str, Any]
MAX_OBJECT_BYTES = 1_500_000
"""What the API server's store takes of one object."""
RESERVED_PREFIX = "munbon.io/"
_OWN_ANNOTATIONS = frozenset({metadata.ANNOTATION_PRUNE, metadata.ANNOTATION_FORCE, metadata.ANNOTATION_ADOPT})
_SERVER_FIELDS = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_API_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_NAME = re.compile(r"[^/%\x00-\x1f\x7f]{1,253}")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Finding:
    """One thing about one object. An `error` refuses the release; a `note` is shown."""

    severity: Literal["error", "note"]
    code: str
    object: str
    """Kind, namespace and name; or its place where it has no name."""
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.object}: {self.reason}" + (f" ({self.remedy})" if self.remedy else "")


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that refuse the release."""
    return tuple(finding for finding in findings if finding.severity == "error")


def group_of(manifest: Manifest) -> str:
    """API group; empty for the core group."""
    group, slash, _ = str(manifest.get("apiVersion", "")).rpartition("/")
    return group if slash else ""


def object_ref(manifest: Manifest, namespace: str = "") -> ObjectRef:
    """Group, kind, namespace and name of an object; `namespace` stands in where it has none."""
    found = _metadata(manifest)
    return ObjectRef(
        group=group_of(manifest),
        kind=str(manifest.get("kind", "")),
        namespace=str(found.get("namespace") or namespace),
        name=str(found.get("name", "")),
    )


def expand_lists(manifests: Iterable[Manifest]) -> list[dict[str, Any]]:
    """Objects with every `List` (also `ConfigMapList` and the like) replaced by its items, as kubectl does."""
    expanded: list[dict[str, Any]] = []
    for manifest in manifests:
        kind, items = str(manifest.get("kind", "")), manifest.get("items")
        if not kind.endswith("List") or not isinstance(items, list):
            expanded.append(dict(manifest))
            continue
        typed = {} if kind == "List" else {"apiVersion": manifest.get("apiVersion"), "kind": kind.removesuffix("List")}
        expanded += expand_lists({**typed, **item} if isinstance(item, Mapping) else {"item": item} for item in items)
    return expanded


def normalise_objects(manifests: Sequence[Manifest], namespace: str) -> list[dict[str, Any]]:
    """Objects as they are signed: namespaces filled in, and what only a server writes taken out.

    A kind whose scope cannot be known here (a custom one whose definition is not among the objects) is left without a
    namespace: the node finds it by discovery and uses the release's.
    """
    definitions = _definitions(manifests)
    return [_normalise(manifest, namespace, definitions) for manifest in manifests]


def images_of(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Images of all containers, sorted, each once."""
    found: set[str] = set()
    for manifest in manifests:
        _collect_images(manifest, found)
    return tuple(sorted(found))


def check_objects(manifests: Sequence[Any], *, namespace: str, allow_secrets: bool = False) -> tuple[Finding, ...]:
    """Everything that is wrong or worth a word; in the order of the objects.

    Args:
        manifests: objects of a release.
        namespace: the release's own, for objects without one.
        allow_secrets: whether plain `Secret` objects may pass.
    """
    if not manifests:
        return (Finding("error", "Empty", "release", "has no objects", "give a file or folder with at least one Kubernetes object"),)
    findings: list[Finding] = []
    if len(manifests) > MAX_OBJECTS:
        findings.append(
            Finding(
                "error",
                "TooManyObjects",
                "release",
                f"has {len(manifests)} objects, the limit is {MAX_OBJECTS}",
                "split it into several apps",
            )
        )
    seen: dict[ObjectRef, int] = {}
    definitions = _definitions(manifests)
    for place, manifest in enumerate(manifests, start=1):
        problems = _check_shape(manifest, place)
        if not problems:
            problems = [
                *_check_content(manifest, namespace, definitions, allow_secrets),
                *_check_duplicate(manifest, namespace, definitions, place, seen),
            ]
        findings += problems
    return tuple(findings)


def _check_shape(manifest: Any, place: int) -> list[Finding]:
    """What must hold before an object can be spoken of by name."""
    here = f"object {place}"
    if not isinstance(manifest, Mapping):
        return [
            Finding(
                "error", "NotAnObject", here, f"is {_json_type(manifest)}, not a Kubernetes object", "remove it or write it as a mapping"
            )
        ]
    kind, version, details = manifest.get("kind"), manifest.get("apiVersion"), manifest.get("metadata")
    name = details.get("name") if isinstance(details, Mapping) else None
    label = f"{here} ({kind} {name})" if kind and name else f"{here} ({kind or name})" if kind or name else here
    found: list[Finding] = []
    if not isinstance(version, str) or not _API_VERSION.fullmatch(version):
        found.append(Finding("error", "NoApiVersion", label, f"apiVersion is {_shown(version)}", "write for example: apiVersion: apps/v1"))
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        found.append(Finding("error", "NoKind", label, f"kind is {_shown(kind)}", "write for example: kind: Deployment"))
    elif kind.endswith("List") and isinstance(manifest.get("items"), list):
        return [Finding("error", "ListNotExpanded", label, "is a list of objects", "give its items as objects of their own")]
    if not isinstance(details, Mapping):
        found.append(Finding("error", "NoName", label, "has no metadata", "write metadata with a name"))
    elif "generateName" in details:
        reason = "has generateName, so each apply would make another object"
        found.append(Finding("error", "GenerateName", label, reason, "give it a fixed metadata.name"))
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        found.append(Finding("error", "NoName", label, f"metadata.name is {_shown(name)}", "write metadata.name, at most 253 characters"))
    return found


def _check_content(manifest: Manifest, namespace: str, definitions: Mapping[tuple[str, str], str], allow_secrets: bool) -> list[Finding]:
    details = _metadata(manifest)
    label = str(object_ref(manifest))
    found = _check_namespace(manifest, label, namespace, definitions)
    if group_of(manifest) == "" and manifest.get("kind") == "Secret" and not allow_secrets:
        reason = "is a plain Secret: anyone who can read the release can read it"
        found.append(Finding("error", "PlainSecret", label, reason, "make it on the node another way, or publish with --allow-secrets"))
    for field in ("labels", "annotations"):
        found += _check_strings(details.get(field), field, label)
    left = [f"metadata.{field}" for field in _SERVER_FIELDS if details.get(field) is not None] + (
        ["status"] if manifest.get("status") else []
    )
    if left:
        reason = f"has fields that only a server writes: {', '.join(left)}"
        found.append(Finding("error", "ServerFields", label, reason, "remove them; kubectl get -o yaml adds them"))
    size = len(json.dumps(manifest, separators=(",", ":"), default=str).encode())
    if size > MAX_OBJECT_BYTES:
        reason = f"has {size} bytes, the limit for one object is {MAX_OBJECT_BYTES}"
        found.append(Finding("error", "ObjectTooLarge", label, reason, "split it"))
    return found


def _check_namespace(manifest: Manifest, label: str, namespace: str, definitions: Mapping[tuple[str, str], str]) -> list[Finding]:
    own = _metadata(manifest).get("namespace")
    if own is None or own == "":
        return []
    if not isinstance(own, str) or not _NAMESPACE.fullmatch(own):
        return [Finding("error", "BadNamespace", label, f"metadata.namespace is {_shown(own)}", "use a DNS label, for example: default")]
    if own != namespace and _scope(manifest, definitions) != "Cluster":
        return [Finding("note", "OtherNamespace", label, f"is in namespace {own}, the release is in {namespace}")]
    return []


def _check_strings(values: Any, field: str, label: str) -> list[Finding]:
    """Labels and annotations: texts only, and none of our own reserved keys."""
    if values is None:
        return []
    if not isinstance(values, Mapping):
        return [Finding("error", "BadMetadata", label, f"metadata.{field} is {_json_type(values)}", "write a mapping of texts")]
    found: list[Finding] = []
    for key, value in values.items():
        if not isinstance(value, str):
            reason = f"metadata.{field}.{key} is {_shown(value)}, which is no text"
            found.append(Finding("error", "BadMetadata", label, reason, f'put it in quotes: {key}: "..."'))
        if str(key).startswith(RESERVED_PREFIX) and not (field == "annotations" and key in _OWN_ANNOTATIONS):
            known = f"known annotations are: {', '.join(sorted(_OWN_ANNOTATIONS))}"
            found.append(Finding("error", "ReservedKey", label, f"metadata.{field}.{key} is reserved for Munbon", f"remove it; {known}"))
    return found


def _check_duplicate(
    manifest: Manifest, namespace: str, definitions: Mapping[tuple[str, str], str], place: int, seen: dict[ObjectRef, int]
) -> list[Finding]:
    ref = object_ref(manifest, "" if _scope(manifest, definitions) == "Cluster" else namespace)
    if _scope(manifest, definitions) == "Cluster":
        ref = ref.model_copy(update={"namespace": ""})
    first = seen.setdefault(ref, place)
    if first == place:
        return []
    return [Finding("error", "Duplicate", str(ref), f"is there twice: as object {first} and as object {place}", "keep one of them")]


def _normalise(manifest: Manifest, namespace: str, definitions: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    clean = copy.deepcopy(dict(manifest))
    clean.pop("status", None)
    details = clean.get("metadata")
    if not isinstance(details, dict):
        return clean
    for field in _SERVER_FIELDS:
        details.pop(field, None)
    notes = details.get("annotations")
    if isinstance(notes, dict):
        notes.pop(_LAST_APPLIED, None)
    for field in ("labels", "annotations"):
        if details.get(field) in (None, {}):
            details.pop(field, None)
    scope = _scope(clean, definitions)
    if scope == "Namespaced" and not details.get("namespace"):
        details["namespace"] = namespace
    elif scope == "Cluster" or not details.get("namespace"):
        details.pop("namespace", None)
    return clean


def _definitions(manifests: Iterable[Any]) -> dict[tuple[str, str], str]:
    """Scope of each custom kind whose definition is among the objects."""
    found: dict[tuple[str, str], str] = {}
    for manifest in manifests:
        spec = manifest.get("spec") if isinstance(manifest, Mapping) and manifest.get("kind") == "CustomResourceDefinition" else None
        names = spec.get("names") if isinstance(spec, Mapping) else None
        if isinstance(spec, Mapping) and isinstance(names, Mapping):
            found[(str(spec.get("group", "")), str(names.get("kind", "")))] = str(spec.get("scope", ""))
    return found


def _scope(manifest: Manifest, definitions: Mapping[tuple[str, str], str]) -> str | None:
    key = (group_of(manifest), str(manifest.get("kind", "")))
    return definitions.get(key) or scope_of(*key)


def _metadata(manifest: Manifest) -> Mapping[str, Any]:
    details = manifest.get("metadata")
    return details if isinstance(details, Mapping) else {}


def _collect_images(node: Any, found: set[str]) -> None:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                found.update(item["image"] for item in value if isinstance(item, Mapping) and isinstance(item.get("image"), str))
            _collect_images(value, found)
    elif isinstance(node, list):
        for item in node:
            _collect_images(item, found)


def _shown(value: Any) -> str:
    return "missing" if value is None else f"{value!r:.80}"


def _json_type(value: Any) -> str:
    words = {
        type(None): "empty",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
    }
    return words.get(type(value), f"a {type(value).__name__}")
