"""JSON merge patch, JSON patch and strategic merge patch. Pure: the target is not changed in place."""

from __future__ import annotations

from typing import Any

from deploy.local_cluster.in_memory.defaults import clone
from deploy.local_cluster.in_memory.schema import ANY, Type


class PatchError(ValueError):
    """A patch that cannot be applied to its target."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902 with add, remove, replace, move, copy and test.

    Raises:
        PatchError: a path does not exist, or a test fails.
    """
    document = clone(target)
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    action = operation.get("op")
    path = _pointer(operation.get("path", ""))
    if action == "test":
        if _read(document, path) != operation.get("value"):
            raise PatchError(f"testing value {operation.get('path')} failed")
        return document
    if action == "remove":
        _read(document, path)
        return _write(document, path, "remove", None)
    if action in ("add", "replace"):
        if action == "replace":
            _read(document, path)
        return _write(document, path, str(action), operation.get("value"))
    if action in ("move", "copy"):
        source = _pointer(operation.get("from", ""))
        value = clone(_read(document, source))
        if action == "move":
            document = _write(document, source, "remove", None)
        return _write(document, path, "add", value)
    raise PatchError(f"unexpected kind of operation: {action}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(document: Any, path: list[str]) -> Any:
    here = document
    for part in path:
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise PatchError(f"the path /{'/'.join(path)} does not exist in the object") from error
    return here


def _write(document: Any, path: list[str], action: str, value: Any) -> Any:
    if not path:
        return None if action == "remove" else value
    parent = _read(document, path[:-1])
    last = path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if action == "remove":
            del parent[index]
        elif action == "add":
            parent.insert(index, value)
        else:
            parent[index] = value
    elif isinstance(parent, dict):
        if action == "remove":
            del parent[last]
        else:
            parent[last] = value
    else:
        raise PatchError(f"the path /{'/'.join(path)} does not exist in the object")
    return document


def strategic_merge(kind: Type, target: Any, patch: Any) -> Any:
    """Kubernetes' strategic merge patch: lists with a patch merge key merge by it; ``$patch: delete|replace``, ``$retainKeys``."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$"):
            if key.startswith("$deleteFromPrimitiveList/"):
                name = key.partition("/")[2]
                result[name] = [item for item in result.get(name, ()) if item not in value]
            continue
        child = kind.child(key) or ANY
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = strategic_merge(child, result.get(key), value)
        elif isinstance(value, list) and "merge" in child.patch_strategy:
            result[key] = _merge_list(child, result.get(key) or [], value)
        else:
            result[key] = value
    return result


def _merge_list(kind: Type, target: list[Any], patch: list[Any]) -> list[Any]:
    key = kind.patch_key
    if not key:
        return target + [item for item in patch if item not in target]
    element = kind.element or ANY
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    result = list(target)
    for item in patch:
        where = next((index for index, other in enumerate(result) if other.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if where is not None:
                del result[where]
        elif where is None:
            result.append(strategic_merge(element, {}, item))
        else:
            result[where] = strategic_merge(element, result[where], item)
    return result
