"""The API of one cluster: a request in, an answer out; routing, discovery and negotiation, but no sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from deploy.local_cluster.in_memory import errors, kinds, reading
from deploy.local_cluster.in_memory.deleting import DeleteOptions, Deleting
from deploy.local_cluster.in_memory.kinds import Kind
from deploy.local_cluster.in_memory.storage import Obj, Store
from deploy.local_cluster.in_memory.writing import APPLY_PATCH, JSON_PATCH, Options, Writing

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
LogSource = Callable[[Obj, str, bool], str | None]
"""Pod, container, previous -> the text of the log, or None where there is none."""


@dataclass(frozen=True)
class Request:
    """A request as HTTP brings it; ``path`` has no prefix of the cluster."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    accept: str = "application/json"
    body: bytes = b""
    user_agent: str = ""


@dataclass(frozen=True)
class Answer:
    """Code and body; ``content`` is an object to be written as JSON, or text."""

    code: int
    content: Any


@dataclass(frozen=True)
class _Target:
    kind: Kind
    namespace: str
    name: str
    subresource: str


class _YamlLoader(yaml.CSafeLoader):
    """YAML as JSON has it: dates stay strings."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class Api:
    """Serves requests against a store. ``registry`` tells the kinds that are served now."""

    def __init__(
        self, store: Store, writing: Writing, deleting: Deleting, registry: Callable[[], kinds.Registry], bookmark_interval_s: float
    ) -> None:
        self._store = store
        self._writing = writing
        self._deleting = deleting
        self._registry = registry
        self._bookmark_interval_s = bookmark_interval_s
        self.log_source: LogSource | None = None

    def handle(self, request: Request) -> Answer | reading.Watch:
        """Answer a request; errors become answers too."""
        try:
            return self._handle(request)
        except errors.ApiError as error:
            return Answer(error.code, error.status() if error.reason != errors.NO_STATUS else error.message)

    def _handle(self, request: Request) -> Answer | reading.Watch:
        parts = [part for part in request.path.split("/") if part]
        general = self._general(parts)
        if general is not None:
            return general
        target = self._target(parts)
        if request.method == "GET":
            return self._read(target, request)
        return self._write(target, request)

    def _general(self, parts: list[str]) -> Answer | None:
        registry = self._registry()
        match parts:
            case ["version"]:
                return Answer(200, VERSION)
            case ["readyz"] | ["livez"] | ["healthz"]:
                return Answer(200, "ok")
            case ["api"]:
                return Answer(200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
            case ["apis"]:
                return Answer(200, kinds.api_group_list(registry))
            case ["openapi", "v3"]:
                return Answer(200, kinds.open_api_index(registry))
            case ["openapi", "v3", "api", version]:
                return Answer(200, kinds.open_api_document(registry, version))
            case ["openapi", "v3", "apis", group, version]:
                return Answer(200, kinds.open_api_document(registry, f"{group}/{version}"))
            case ["apis", group]:
                found = [entry for entry in kinds.api_group_list(registry)["groups"] if entry["name"] == group]
                if not found:
                    raise errors.no_such_group()
                return Answer(200, {"kind": "APIGroup", "apiVersion": "v1", **found[0]})
            case ["api", version] | ["apis", _, version]:
                group = parts[1] if parts[0] == "apis" else ""
                if not registry.has_group(group):
                    raise errors.no_such_group()
                resources = kinds.api_resource_list(registry, group, version)
                if resources is None:
                    raise errors.no_such_path()
                return Answer(200, resources)
        return None

    def _target(self, parts: list[str]) -> _Target:
        if len(parts) >= 3 and parts[0] == "api":
            group, version, rest = "", parts[1], parts[2:]
        elif len(parts) >= 4 and parts[0] == "apis":
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise errors.no_such_path()
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        kind = self._registry().by_path(group, version, rest[0])
        if kind is None and not self._registry().has_group(group):
            raise errors.no_such_group()
        if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
            raise errors.no_such_path()
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if (kind.namespaced and name and not namespace) or (subresource and not _has(kind, subresource)):
            raise errors.no_such_path()
        return _Target(kind, namespace, name, subresource)

    def _read(self, target: _Target, request: Request) -> Answer | reading.Watch:
        query = request.query
        if target.name:
            obj = self._store.get(target.kind.id, (target.namespace, target.name))
            if obj is None:
                raise errors.not_found(target.kind, target.name)
            if target.subresource == "log":
                return self._log(obj, query)
            return Answer(200, _shown(obj, target.kind, request.accept))
        selection = reading.Selection(target.kind, target.namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        if query.get("watch") in ("true", "1"):
            return reading.Watch(self._store, selection, query, self._bookmark_interval_s)
        listed = reading.list_objects(self._store, selection, int(query.get("limit") or 0), query.get("continue", ""))
        return Answer(200, _shown(listed, target.kind, request.accept))

    def _log(self, pod: Obj, query: dict[str, str]) -> Answer:
        names = [container["name"] for container in pod["spec"]["containers"]]
        container = query.get("container") or names[0]
        every = names + [each["name"] for each in pod["spec"].get("initContainers") or ()]
        if container not in every:
            raise errors.bad_request(f"container {container} is not valid for pod {pod['metadata']['name']}")
        if not query.get("container") and len(names) > 1:
            raise errors.bad_request(
                f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{' '.join(names)}]"
            )
        previous = query.get("previous") in ("true", "1")
        text = self.log_source(pod, container, previous) if self.log_source else None
        if text is None:
            what = "previous terminated container" if previous else "container"
            raise errors.bad_request(f'{what} "{container}" in pod "{pod["metadata"]["name"]}" not found')
        if query.get("tailLines"):
            wanted = int(query["tailLines"])
            text = "".join(text.splitlines(keepends=True)[-wanted:]) if wanted else ""
        return Answer(200, text)

    def _write(self, target: _Target, request: Request) -> Answer:
        kind, key = target.kind, (target.namespace, target.name)
        if request.method == "DELETE":
            return self._delete(target, request)
        content_type = request.content_type.partition(";")[0].strip()
        options = _options(target, request)
        sent = _body(request, content_type)
        if request.method == "POST" and not target.name:
            if kind.namespaced and not target.namespace:
                raise errors.ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            return Answer(201, self._writing.create(kind, target.namespace, sent, options))
        if request.method == "PUT" and target.name:
            if self._store.get(kind.id, key) is None and not target.subresource:
                return Answer(201, self._writing.create(kind, target.namespace, _named(sent, target.name), options))
            return Answer(200, self._writing.replace(kind, key, sent, options))
        if request.method == "PATCH" and target.name and content_type == APPLY_PATCH:
            created, obj = self._writing.apply(kind, key, sent, options)
            return Answer(201 if created else 200, obj)
        if request.method == "PATCH" and target.name:
            return Answer(200, self._writing.patch(kind, key, sent, content_type, options))
        raise errors.ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _delete(self, target: _Target, request: Request) -> Answer:
        body = _body(request, "application/json") if request.body else {}
        options = DeleteOptions.read(body, request.query)
        if target.name:
            return Answer(200, self._deleting.delete(target.kind, (target.namespace, target.name), options))
        selection = reading.Selection(
            target.kind, target.namespace, request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        )
        listed = reading.list_objects(self._store, selection, 0, "")
        for obj in listed["items"]:
            metadata = obj["metadata"]
            self._deleting.delete(target.kind, (metadata.get("namespace", ""), metadata["name"]), options)
        return Answer(200, listed)


def _has(kind: Kind, subresource: str) -> bool:
    return (subresource == "status" and kind.status) or (kind.kind == "Pod" and subresource == "log")


def _options(target: _Target, request: Request) -> Options:
    query = request.query
    force = query.get("force") in ("true", "1")
    is_apply = request.content_type.startswith(APPLY_PATCH)
    if is_apply and not query.get("fieldManager"):
        raise _bad_options("fieldManager: Required value: is required for apply patch")
    if force and not is_apply:
        raise _bad_options("force: Forbidden: may not be specified for non-apply patch")
    if query.get("dryRun", "All") != "All":
        raise _bad_options(f'dryRun: Unsupported value: "{query["dryRun"]}": supported values: "All"')
    manager = query.get("fieldManager") or request.user_agent.partition("/")[0] or "unknown"
    return Options(manager, "dryRun" in query, query.get("fieldValidation") or "Warn", force, target.subresource)


def _bad_options(problem: str) -> errors.ApiError:
    return errors.ApiError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {problem}')


def _body(request: Request, content_type: str) -> Any:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        if content_type not in (APPLY_PATCH, "application/yaml"):
            raise errors.bad_request(f"the body of the request is no JSON: {error}") from error
        try:
            body = yaml.load(request.body, Loader=_YamlLoader)  # noqa: S506 - a safe loader without dates
        except yaml.YAMLError as problem:
            raise errors.bad_request(f"error decoding YAML: {problem}") from problem
    if content_type == JSON_PATCH and not isinstance(body, list):
        raise errors.bad_request("a JSON patch must be a list of operations")
    return body


def _named(sent: Any, name: str) -> Any:
    if isinstance(sent, dict):
        return {**sent, "metadata": {**(sent.get("metadata") or {}), "name": name}}
    return sent


def _shown(obj: Obj, kind: Kind, accept: str) -> Obj:
    """The object as the client wants it: whole, or its metadata only."""
    if "as=PartialObjectMetadata" not in accept:
        return obj
    version = "meta.k8s.io/v1"
    if "items" in obj and obj["kind"] == kind.kind + "List":
        items = [{"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": item["metadata"]} for item in obj["items"]]
        return {"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": obj["metadata"], "items": items}
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": obj["metadata"]}
