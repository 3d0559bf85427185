"""Sets of fields, in the form of ``fieldsV1``. Pure.

A set is a tree of dicts: each key is a path element (``f:name``, ``k:{...}``, ``v:value``, ``i:index``), each value the set
below it. A path is a member when its node is empty or has the key ``"."``. Trees are never changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

FieldSet = dict[str, Any]
"""Recursive: ``FieldSet = dict[str, FieldSet]``."""

MEMBER = "."
_LEAF: FieldSet = {}


def is_member(node: FieldSet | None) -> bool:
    """Whether the path that leads to ``node`` is itself in the set."""
    return node is not None and (not node or MEMBER in node)


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    if not children:
        return _LEAF if member else None
    if member:
        return {MEMBER: _LEAF, **children}
    return children


def _children(node: FieldSet) -> Iterator[tuple[str, FieldSet]]:
    return ((key, child) for key, child in node.items() if key != MEMBER)


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """All paths that are in either set (the two are roots: the root path itself is in neither)."""
    if not left:
        return right
    if not right:
        return left
    return _union_children(left, right)


def _union(left: FieldSet, right: FieldSet) -> FieldSet:
    if left is right:
        return left
    node = _node(is_member(left) or is_member(right), _union_children(left, right))
    return node if node is not None else _LEAF


def _union_children(left: FieldSet, right: FieldSet) -> FieldSet:
    result = {key: child for key, child in left.items() if key != MEMBER}
    for key, child in _children(right):
        mine = result.get(key)
        result[key] = child if mine is None else _union(mine, child)
    return result


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of ``left`` that are not in ``right``. A path is not touched by its ancestors or descendants in ``right``."""
    if not left or not right:
        return left
    return _difference_children(left, right)


def _difference_children(left: FieldSet, right: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for key, child in _children(left):
        other = right.get(key)
        kept = child if other is None else _difference(child, other)
        if kept is not None:
            result[key] = kept
    return result


def _difference(left: FieldSet, right: FieldSet) -> FieldSet | None:
    return _node(is_member(left) and not is_member(right), _difference_children(left, right))


def without_trees(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of ``left`` that are neither in ``right`` nor below a member of ``right``."""
    result: FieldSet = {}
    for key, child in _children(left):
        other = right.get(key)
        if other is None:
            result[key] = child
        elif not is_member(other):
            kept = _node(is_member(child), without_trees(child, other))
            if kept is not None:
                result[key] = kept
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths that are in both sets."""
    result: FieldSet = {}
    if not left or not right:
        return result
    for key, child in _children(left):
        other = right.get(key)
        if other is None:
            continue
        kept = _node(is_member(child) and is_member(other), intersection(child, other))
        if kept is not None:
            result[key] = kept
    return result


def paths(tree: FieldSet) -> list[str]:
    """Readable paths of all members, as conflict messages show them: ``.spec.containers[name="web"].image``."""
    result: list[str] = []
    for key, child in _children(tree):
        shown = _shown(key)
        if is_member(child):
            result.append(shown)
        result.extend(shown + below for below in paths(child))
    return result


def _shown(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return "." + rest
    if kind == "k":
        return "[" + rest.removeprefix("{").removesuffix("}").replace('":', "=").replace(',"', ",").removeprefix('"') + "]"
    if kind == "v":
        return "[=" + rest + "]"
    return f"[{rest}]"
