"""Write ``schema.json`` from the OpenAPI v3 documents of a Kubernetes API server.

Run it when the Kubernetes version of the local cluster changes::

    python -m deploy.local_cluster.in_memory.make_schema FOLDER_WITH_OPENAPI_V3_FILES

The folder holds the files of ``api/openapi-spec/v3`` of the ``k8s.io/kubernetes`` module. Only what the in-memory
cluster needs is kept: field names, types, list and map relationships, merge keys, defaults and required fields.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

KINDS = {
    "api__v1": [
        "Namespace",
        "ConfigMap",
        "Secret",
        "Service",
        "ServiceAccount",
        "Pod",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Event",
        "Node",
        "Binding",
        "ReplicationController",
        "ResourceQuota",
        "LimitRange",
        "Endpoints",
    ],
    "apis__apps__v1": ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"],
    "apis__batch__v1": ["Job", "CronJob"],
    "apis__networking.k8s.io__v1": ["Ingress", "IngressClass", "NetworkPolicy"],
    "apis__rbac.authorization.k8s.io__v1": ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
    "apis__apiextensions.k8s.io__v1": ["CustomResourceDefinition"],
    "apis__storage.k8s.io__v1": ["StorageClass"],
    "apis__scheduling.k8s.io__v1": ["PriorityClass"],
    "apis__policy__v1": ["PodDisruptionBudget"],
    "apis__autoscaling__v2": ["HorizontalPodAutoscaler"],
    "apis__coordination.k8s.io__v1": ["Lease"],
    "apis__discovery.k8s.io__v1": ["EndpointSlice"],
}
_REF = "#/components/schemas/"


def _short(name: str) -> str:
    return name.removeprefix("io.k8s.")


class SchemaWriter:
    """Turns OpenAPI schemas into the compact form that :mod:`.schema` reads."""

    def __init__(self, documents: dict[str, dict[str, Any]]) -> None:
        self._schemas: dict[str, dict[str, Any]] = {}
        for document in documents.values():
            self._schemas.update(document["components"]["schemas"])
        self.types: dict[str, dict[str, Any]] = {}

    def root(self, group_version: str, kind: str) -> str:
        """Add a kind with all that it refers to, and return its type name."""
        group = group_version.removeprefix("api__").removeprefix("apis__").split("__")[0]
        version = group_version.split("__")[-1]
        wanted = {"group": "" if group_version == "api__v1" else group, "version": version, "kind": kind}
        for name, schema in self._schemas.items():
            if wanted in schema.get("x-kubernetes-group-version-kind", []):
                return self._add(name)
        raise LookupError(f"no schema for {wanted}: is the folder the OpenAPI v3 of the same Kubernetes version?")

    def _add(self, name: str) -> str:
        short = _short(name)
        if short in self.types:
            return short
        schema = self._schemas[name]
        entry: dict[str, Any] = {}
        self.types[short] = entry
        fields = {}
        for field, sub in schema.get("properties", {}).items():
            fields[field] = self._reference(sub)
        entry["fields"] = fields
        if schema.get("required"):
            entry["required"] = schema["required"]
        if schema.get("x-kubernetes-map-type") == "atomic":
            entry["atomic"] = True
        return short

    def _reference(self, schema: dict[str, Any]) -> Any:
        result = self._type(schema)
        extra = {}
        if schema.get("default") not in (None, {}, "", 0, False):
            extra["default"] = schema["default"]
        if "x-kubernetes-patch-strategy" in schema:
            extra["patch"] = [schema["x-kubernetes-patch-strategy"], schema.get("x-kubernetes-patch-merge-key", "")]
        if not extra:
            return result
        return {**(result if isinstance(result, dict) else {"type": result}), **extra}

    def _type(self, schema: dict[str, Any]) -> Any:
        if "allOf" in schema:
            return self._type(schema["allOf"][0])
        if "$ref" in schema:
            target = schema["$ref"].removeprefix(_REF)
            referred = self._schemas[target]
            return "#" + self._add(target) if referred.get("properties") else self._type(referred)
        if schema.get("format") == "int-or-string":
            return "int-or-string"
        if "oneOf" in schema:
            return "quantity"
        kind = schema.get("type")
        if kind == "array":
            return self._list(schema)
        if kind == "object" and "additionalProperties" in schema:
            result = {"map": self._reference(schema["additionalProperties"])}
            if schema.get("x-kubernetes-map-type") == "atomic":
                result["atomic"] = True
            return result
        if kind == "string" and schema.get("format") == "date-time":
            return "time"
        return kind if kind in ("string", "integer", "number", "boolean") else "any"

    def _list(self, schema: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {"list": self._reference(schema["items"])}
        relation = schema.get("x-kubernetes-list-type", "atomic")
        if relation != "atomic":
            result["relation"] = relation
        if relation == "map":
            result["keys"] = schema["x-kubernetes-list-map-keys"]
        return result


def compact_schema(folder: pathlib.Path) -> dict[str, Any]:
    """Read the OpenAPI documents in ``folder`` and return the content of ``schema.json``.

    Raises:
        LookupError: a kind of :data:`KINDS` is in none of the documents.
        FileNotFoundError: a document is missing.
    """
    documents = {gv: json.loads((folder / f"{gv}_openapi.json").read_text()) for gv in KINDS}
    writer = SchemaWriter(documents)
    roots = {}
    for group_version, kinds in KINDS.items():
        parts = group_version.split("__")
        api_version = "v1" if parts[0] == "api" else f"{parts[1]}/{parts[2]}"
        for kind in kinds:
            roots[f"{api_version}/{kind}"] = writer.root(group_version, kind)
    return {"roots": roots, "types": dict(sorted(writer.types.items()))}


def main() -> int:
    """Write ``schema.json`` beside this module from the folder named on the command line."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    schema = compact_schema(pathlib.Path(sys.argv[1]))
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in schema["types"].items())
    text = '{"roots": ' + json.dumps(schema["roots"], indent=1) + ',\n"types": {\n' + lines + "\n}}\n"
    (pathlib.Path(__file__).parent / "schema.json").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
