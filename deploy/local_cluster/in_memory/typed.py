"""Walks over typed values: field set, merge, comparison, removal. Pure, and nothing is changed in place.

The rules are those of Kubernetes' structured merge: scalars and atomic values are leaves, maps merge by key, keyed
lists by their keys (in the order of the newer side), sets by value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from deploy.local_cluster.in_memory.field_sets import MEMBER, FieldSet, is_member
from deploy.local_cluster.in_memory.schema import ANY, ATOMIC, MAP, SET, Type

ABSENT: Any = object()
_LEAF: FieldSet = {}


class MergeKeyError(ValueError):
    """A keyed list's item lacks its key, or two items have the same one; ``path`` says where."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def is_atomic(kind: Type, value: Any) -> bool:
    """Whether ``value`` is a leaf for ownership: a scalar, an atomic map or list, or an untyped list."""
    if isinstance(value, dict):
        return kind.shape in ("map", "any") and kind.relation == ATOMIC
    if isinstance(value, list):
        return kind.shape != "list" or kind.relation == ATOMIC
    return True


def item_key(kind: Type, item: Any) -> str:
    """Path element of a list item: ``k:{...}`` for keyed lists, ``v:...`` for sets.

    Raises:
        ValueError: a key field without default is missing.
    """
    if kind.relation == SET:
        return "v:" + _json(item)
    if not isinstance(item, dict):
        raise ValueError("an item of a keyed list must be an object")
    element = kind.element or ANY
    found = {}
    for key in sorted(kind.keys):
        value = item.get(key)
        if value is None:
            declared = element.fields.get(key)
            value = declared.default if declared is not None else None
        if value is not None:
            found[key] = value
    if not found:
        raise ValueError(
            f'associative list with keys has an element that omits key field "{kind.keys[0]}" (and doesn\'t have default value)'
        )
    return "k:" + _json(found)


def _json(value: Any) -> str:
    if type(value) is dict and len(value) == 1:
        ((key, inner),) = value.items()
        if type(inner) is str and inner.isascii() and inner.isprintable() and '"' not in inner and "\\" not in inner:
            return f'{{"{key}":"{inner}"}}'
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def indexed(kind: Type, items: list[Any] | None, path: str = "", unique: bool = False) -> dict[str, Any]:
    """Items of a keyed list or set by path element; of duplicates the first counts.

    Raises:
        MergeKeyError: a key is missing; or doubled, when ``unique``.
    """
    result: dict[str, Any] = {}
    for position, item in enumerate(items or ()):
        try:
            key = item_key(kind, item)
        except ValueError as error:
            raise MergeKeyError(path, f"element {position}: {error}") from error
        if key in result:
            if unique:
                raise MergeKeyError(path, f"duplicate entries for key {_shown_key(key)}")
            continue
        result[key] = item
    return result


def shown_item(kind: Type, item: Any, index: int) -> str:
    """An item of a list in a path: by its merge key where the list has one, else by its index."""
    if kind.relation in (SET, MAP):
        try:
            return _shown_key(item_key(kind, item))
        except ValueError:
            return f"[{index}]"
    return f"[{index}]"


def _shown_key(key: str) -> str:
    kind, _, rest = key.partition(":")
    if kind == "v":
        return "[=" + rest + "]"
    return "[" + ",".join(f"{k}={_json(v)}" for k, v in json.loads(rest).items()) + "]"


def key_problem(kind: Type, value: Any, path: str = "") -> MergeKeyError | None:
    """The first list of ``value`` with a missing or doubled key, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list) and (found := key_problem(kind.child(key) or ANY, inner, f"{path}.{key}")):
                return found
    elif isinstance(value, list) and not is_atomic(kind, value):
        try:
            items = indexed(kind, value, path, unique=True)
        except MergeKeyError as error:
            return error
        for key, item in items.items():
            if isinstance(item, dict) and (found := key_problem(kind.element or ANY, item, path + _shown_key(key))):
                return found
    return None


def field_set(kind: Type, value: dict[str, Any]) -> FieldSet:
    """All fields that ``value`` sets.

    Raises:
        MergeKeyError: a keyed list has an item without key, or two with the same one.
    """
    return _map_fields(kind, value)


def _map_fields(kind: Type, value: dict[str, Any]) -> FieldSet:
    result: FieldSet = {}
    for key, inner in value.items():
        declared = kind.fields.get(key)
        child = declared or kind.child(key) or ANY
        below = _value_fields(child, inner)
        if below is None:
            if declared is not None:
                continue
            below = _LEAF
        elif below and declared is None:
            below = {MEMBER: _LEAF, **below}
        result["f:" + key] = below
    return result


def _value_fields(kind: Type, value: Any) -> FieldSet | None:
    if isinstance(value, dict):
        if not value or (kind.relation == ATOMIC and kind.shape == "map"):
            return _LEAF
        return _map_fields(kind, value) or None
    if isinstance(value, list):
        if kind.shape != "list" or kind.relation == ATOMIC:
            return _LEAF
        result: FieldSet = {}
        element = kind.element or ANY
        for key, item in indexed(kind, value, unique=True).items():
            below = _value_fields(element, item) if isinstance(item, dict | list) else None
            result[key] = {MEMBER: _LEAF, **below} if below else _LEAF
        return result or None
    return _LEAF


def merge(kind: Type, live: Any, applied: Any) -> Any:
    """Merge ``applied`` over ``live``: what ``applied`` says wins, what it does not mention stays."""
    if applied is ABSENT:
        return live
    if live is ABSENT or is_atomic(kind, applied):
        return applied
    if isinstance(applied, dict) and isinstance(live, dict):
        return _merge_maps(kind, live, applied) if live else applied
    if isinstance(applied, list) and isinstance(live, list) and live and applied:
        return _merge_lists(kind, live, applied)
    if isinstance(applied, list) and isinstance(live, list):
        return live or applied
    return applied


def _merge_maps(kind: Type, live: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    result = dict(live)
    for key, value in applied.items():
        if key in result:
            result[key] = merge(kind.child(key) or ANY, result[key], value)
        else:
            result[key] = value
    return result


def _merge_lists(kind: Type, live: list[Any], applied: list[Any]) -> list[Any]:
    newer = indexed(kind, applied)
    older = indexed(kind, live)
    element = kind.element or ANY
    # items known only to the live side keep their place before the shared item that follows them
    shared = [key for key in newer if key in older]
    live_keys = list(older)
    new_keys = list(newer)
    result: list[Any] = []
    done: set[str] = set()
    live_at = new_at = 0
    while live_at < len(live_keys) or new_at < len(new_keys):
        if live_at < len(live_keys):
            key = live_keys[live_at]
            if new_at < len(new_keys) and key != new_keys[new_at] and key in newer and shared and key != shared[0]:
                live_at += 1
                continue
            if key not in newer:
                result.append(older[key])
                live_at += 1
                continue
            if key in done or (new_at < len(new_keys) and key == new_keys[new_at]):
                live_at += 1
        if new_at < len(new_keys):
            key = new_keys[new_at]
            done.add(key)
            result.append(merge(element, older.get(key, ABSENT), newer[key]))
            new_at += 1
            if shared and shared[0] == key:
                shared.pop(0)
    return result


class Comparison:
    """Fields added, changed and removed between two values."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.added: FieldSet = {}
        self.modified: FieldSet = {}
        self.removed: FieldSet = {}

    def is_same(self) -> bool:
        """Whether the two values are equal."""
        return not (self.added or self.modified or self.removed)


def compare(kind: Type, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """Tell what changed from ``old`` to ``new`` (both the root of an object)."""
    result = Comparison()
    result.added, result.modified, result.removed = _compare_maps(kind, old, new)
    return result


_Changes = tuple[FieldSet, FieldSet, FieldSet]
_NOTHING: _Changes = ({}, {}, {})


def _compare_maps(kind: Type, old: dict[str, Any], new: dict[str, Any]) -> _Changes:
    added: FieldSet = {}
    modified: FieldSet = {}
    removed: FieldSet = {}
    for key, value in new.items():
        before = old.get(key, ABSENT)
        if before is value:
            continue
        child = kind.child(key) or ANY
        if before is ABSENT:
            added["f:" + key] = _tree(child, value)
        else:
            _note("f:" + key, child, before, value, added, modified, removed)
    for key, value in old.items():
        if key not in new:
            removed["f:" + key] = _tree(kind.child(key) or ANY, value)
    return added, modified, removed


def _note(key: str, kind: Type, before: Any, value: Any, added: FieldSet, modified: FieldSet, removed: FieldSet) -> None:
    """Compare two present values and file what differs under ``key``."""
    if before == value and type(before) is type(value):
        return
    if isinstance(value, dict) and isinstance(before, dict) and not is_atomic(kind, value):
        changes = _compare_maps(kind, before, value)
    elif isinstance(value, list) and isinstance(before, list) and not is_atomic(kind, value):
        changes = _compare_lists(kind, before, value)
    else:
        modified[key] = _LEAF
        return
    for target, below in zip((added, modified, removed), changes, strict=True):
        if below:
            target[key] = below


def _compare_lists(kind: Type, old: list[Any], new: list[Any]) -> _Changes:
    added: FieldSet = {}
    modified: FieldSet = {}
    removed: FieldSet = {}
    element = kind.element or ANY
    older = indexed(kind, old)
    newer = indexed(kind, new)
    for key, item in newer.items():
        before = older.get(key, ABSENT)
        if before is ABSENT:
            added[key] = _tree(element, item)
        else:
            _note(key, element, before, item, added, modified, removed)
    for key, item in older.items():
        if key not in newer:
            removed[key] = _tree(element, item)
    return added, modified, removed


def _tree(kind: Type, value: Any) -> FieldSet:
    """The path itself and everything below it."""
    if is_atomic(kind, value) or not value:
        return _LEAF
    below: FieldSet = {MEMBER: _LEAF}
    if isinstance(value, dict):
        for key, inner in value.items():
            below["f:" + key] = _tree(kind.child(key) or ANY, inner)
    else:
        element = kind.element or ANY
        for key, item in indexed(kind, value).items():
            below[key] = _tree(element, item)
    return below


Keep = Callable[[FieldSet | None], bool]


def remove_disowned(kind: Type, value: dict[str, Any], last: FieldSet, managed: FieldSet) -> dict[str, Any]:
    """Drop what ``last`` (the applier's former fields) had and ``managed`` (all managers now) no longer has.

    Declared fields count as had when anything below them is. What hangs below a dropped field goes with it.
    """
    result = _remove_from_map(kind, value, last, managed)
    return value if result is None else result


def _remove_from_map(kind: Type, value: dict[str, Any], last: FieldSet, managed: FieldSet) -> dict[str, Any] | None:
    """The map without what is disowned, or None when nothing changes."""
    result: dict[str, Any] | None = None
    for element, below in last.items():
        if not element.startswith("f:"):
            continue
        key = element[2:]
        if key not in value:
            continue
        declared = kind.fields.get(key)
        owned = managed.get(element)
        named = declared is not None
        had = named or is_member(below)
        has = owned is not None and (named or is_member(owned))
        if had and not has:
            result = dict(value) if result is None else result
            del result[key]
            continue
        smaller = _remove_below(declared or kind.child(key) or ANY, value[key], below, owned or _LEAF)
        if smaller is not ABSENT:
            result = dict(value) if result is None else result
            result[key] = smaller
    return result


def _remove_below(kind: Type, value: Any, last: FieldSet, managed: FieldSet) -> Any:
    """The smaller value, or ABSENT when nothing changes."""
    if not last or is_atomic(kind, value):
        return ABSENT
    if isinstance(value, dict):
        smaller = _remove_from_map(kind, value, last, managed)
        return ABSENT if smaller is None else smaller
    element = kind.element or ANY
    changed = False
    items: list[Any] = []
    for item in value:
        key = item_key(kind, item)
        below = last.get(key)
        if below is None:
            items.append(item)
            continue
        owned = managed.get(key)
        if is_member(below) and not is_member(owned):
            changed = True
            continue
        shrunk = _remove_below(element, item, below, owned or _LEAF)
        changed = changed or shrunk is not ABSENT
        items.append(item if shrunk is ABSENT else shrunk)
    return items if changed else ABSENT
