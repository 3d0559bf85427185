"""Types of the served kinds: fields, list relationships, merge keys, defaults. Pure, but for reading the data file once.

The built-in types come from ``schema.json`` (written by :mod:`.make_schema` from the API server's own OpenAPI);
the type of a custom resource is made from the schema in its CustomResourceDefinition.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

GRANULAR = "granular"
ATOMIC = "atomic"
SET = "set"
MAP = "map"

SCALARS = frozenset({"string", "integer", "number", "boolean", "int-or-string", "quantity", "time"})


@dataclass(eq=False, slots=True)
class Type:
    """One type: a scalar, a struct or map (``shape == "map"``), a list, or anything at all.

    ``relation`` tells how server-side apply treats it: ``granular`` (map merged by key), ``atomic`` (owned whole),
    ``set`` (list of unique scalars), ``map`` (list keyed by ``keys``).
    """

    shape: str
    relation: str = GRANULAR
    fields: dict[str, Type] = field(default_factory=dict)
    element: Type | None = None
    keys: tuple[str, ...] = ()
    scalar: str = ""
    default: Any = None
    patch_strategy: str = ""
    patch_key: str = ""
    required: tuple[str, ...] = ()
    open: bool = False
    """Whether fields that are not listed are kept (untyped content, preserved unknown fields)."""
    pruned: bool = False
    """Whether unknown fields are dropped silently where validation is not strict (custom resources)."""

    def child(self, key: str) -> Type | None:
        """Type of the field or map value called ``key``; None when no such field is declared."""
        found = self.fields.get(key)
        if found is not None:
            return found
        if self.element is not None:
            return self.element
        return ANY if self.open else None


ANY = Type("any", open=True)


class _Loader:
    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw
        self._named: dict[str, Type] = {}

    def named(self, name: str) -> Type:
        known = self._named.get(name)
        if known is not None:
            return known
        entry = self._raw[name]
        result = Type("map", relation=ATOMIC if entry.get("atomic") else GRANULAR)
        self._named[name] = result
        result.required = tuple(entry.get("required", ()))
        result.fields = {key: self.reference(value) for key, value in entry["fields"].items()}
        return result

    def reference(self, ref: Any) -> Type:
        if isinstance(ref, str):
            if ref.startswith("#"):
                return self.named(ref[1:])
            return ANY if ref == "any" else _scalar(ref)
        base = self._structured(ref)
        if "default" in ref or "patch" in ref:
            strategy, key = ref.get("patch", ("", ""))
            base = Type(
                base.shape,
                base.relation,
                base.fields,
                base.element,
                base.keys,
                base.scalar,
                ref.get("default"),
                strategy,
                key,
                base.required,
                base.open,
            )
        return base

    def _structured(self, ref: dict[str, Any]) -> Type:
        if "list" in ref:
            return Type("list", ref.get("relation", ATOMIC), element=self.reference(ref["list"]), keys=tuple(ref.get("keys", ())))
        if "map" in ref:
            return Type("map", ATOMIC if ref.get("atomic") else GRANULAR, element=self.reference(ref["map"]))
        return self.reference(ref["type"])


@cache
def _scalar(name: str) -> Type:
    return Type("scalar", scalar=name)


@cache
def builtin_types() -> dict[str, Type]:
    """Types of the built-in kinds by ``apiVersion/Kind`` (core kinds: ``v1/Pod``)."""
    text = resources.files(__package__).joinpath("schema.json").read_text()
    raw = json.loads(text)
    loader = _Loader(raw["types"])
    types = {key: loader.named(name) for key, name in raw["roots"].items()}
    types["v1/ObjectMeta"] = loader.named("apimachinery.pkg.apis.meta.v1.ObjectMeta")
    return types


def custom_type(open_api_schema: dict[str, Any] | None) -> Type:
    """Type of a custom resource from its ``openAPIV3Schema``; anything goes where there is none."""
    root = _custom(open_api_schema or {"x-kubernetes-preserve-unknown-fields": True, "type": "object"})
    if root.shape != "map":
        root = Type("map", open=True)
    root.fields = {**root.fields, "apiVersion": _scalar("string"), "kind": _scalar("string"), "metadata": builtin_types()["v1/ObjectMeta"]}
    return root


def _custom(schema: dict[str, Any]) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return Type("scalar", scalar="int-or-string", default=schema.get("default"))
    kind = schema.get("type")
    if kind == "object" or "properties" in schema or "additionalProperties" in schema:
        return _custom_object(schema)
    if kind == "array":
        return Type(
            "list",
            schema.get("x-kubernetes-list-type", ATOMIC),
            element=_custom(schema.get("items", {})),
            keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
            default=schema.get("default"),
        )
    if kind in SCALARS:
        return Type("scalar", scalar=str(kind), default=schema.get("default"))
    return ANY


def _custom_object(schema: dict[str, Any]) -> Type:
    relation = ATOMIC if schema.get("x-kubernetes-map-type") == "atomic" else GRANULAR
    extra = schema.get("additionalProperties")
    element = _custom(extra) if isinstance(extra, dict) else (ANY if extra else None)
    fields = {key: _custom(value) for key, value in schema.get("properties", {}).items()}
    return Type(
        "map",
        relation,
        fields,
        element,
        default=schema.get("default"),
        required=tuple(schema.get("required", ())),
        open=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        pruned=True,
    )
