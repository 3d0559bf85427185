"""A manifest as it is sent: owner labels, and the payload fixes that server-side apply needs (kubernetes.md 1.1). Idempotent.

No annotation carries the release: it would change every object with every release. The release stands in the agent's state file.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from typing import Any

from edge_agent.model import Manifest
from shared.contracts.metadata import LABEL_APP, LABEL_MANAGED_BY, MANAGED_BY_VALUE

_SERVER_FIELDS = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink")
_DIGEST_LENGTH = 32


def prepare(manifest: Manifest, app: str, namespace: str, namespaced: bool) -> Manifest:
    """The object to send.

    Args:
        manifest: an object of a release.
        app: owner.
        namespace: for an object of a namespaced kind that names none.
        namespaced: scope of its kind, from discovery.
    """
    made = copy.deepcopy(manifest)
    given_details = made.get("metadata")
    details: dict[str, Any] = dict(given_details) if isinstance(given_details, dict) else {}
    made["metadata"] = details
    for field in _SERVER_FIELDS:
        details.pop(field, None)
    if namespaced:
        details["namespace"] = details.get("namespace") or namespace
    else:
        details.pop("namespace", None)
    given = details.get("labels")
    details["labels"] = {**(given if isinstance(given, dict) else {}), LABEL_APP: app, LABEL_MANAGED_BY: MANAGED_BY_VALUE}
    if made.get("kind") != "CustomResourceDefinition":
        made.pop("status", None)
    if made.get("kind") == "Secret" and made.get("apiVersion") == "v1":
        _merge_string_data(made)
    _default_protocols(made)
    return made


def digest_of(manifest: Manifest) -> str:
    """Digest of an object as sent; tells whether the same was sent before."""
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]


def _merge_string_data(secret: dict[str, Any]) -> None:
    """`stringData` is write-only, and its removal is not noticed by server-side apply (kubernetes issue 108008): send `data`."""
    written = secret.pop("stringData", None)
    if not isinstance(written, dict):
        return
    data = secret.get("data")
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in written.items()}
    secret["data"] = {**(data if isinstance(data, dict) else {}), **encoded}


def _default_protocols(node: Any) -> None:
    """`protocol` is part of the merge key of ports, and its default is not known to the merge (structured-merge-diff issue 130)."""
    if isinstance(node, list):
        for item in node:
            _default_protocols(item)
        return
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "ports" and isinstance(value, list):
            for port in value:
                if isinstance(port, dict) and ("containerPort" in port or _is_service_port(node, port)):
                    port.setdefault("protocol", "TCP")
        else:
            _default_protocols(value)


def _is_service_port(owner: dict[str, Any], port: dict[str, Any]) -> bool:
    """A port below a Service's spec; not one below a NetworkPolicy's rule or a custom object."""
    return "port" in port and ("targetPort" in port or "selector" in owner or "clusterIP" in owner)
