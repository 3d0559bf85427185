"""YAML as kubectl reads it, on PyYAML's C parser. A key that stands twice: the last one counts, as in kubectl, and a warning says so."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from central.render.scalars import classify, parse_bool, parse_integer
from shared.errors import UsageError

_TAG = "tag:yaml.org,2002:"
_MAX_NODES = 500_000


@dataclass(frozen=True)
class ReadDocument:
    """One document of a stream: `content` is plain JSON data, `line` its first line (from 1)."""

    content: Any
    line: int
    warnings: tuple[str, ...] = ()


class _Loader(yaml.CSafeLoader):
    """Takes only the parser from PyYAML; scalars are resolved by kubectl's rules."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _TAG + classify(value)
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def read_documents(text: str, *, source: str) -> Iterator[ReadDocument]:
    """Every non-empty document of `text`.

    Raises:
        UsageError: broken YAML, or something that JSON cannot hold; names source and line.
    """
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            builder = _Builder(source)
            content = builder.build(node)
            if content is not None:
                yield ReadDocument(content, node.start_mark.line + 1, tuple(builder.warnings))
    except yaml.YAMLError as error:
        raise UsageError(
            f"is not valid YAML: {_reason(error)}", subject=_place(source, error), remedy="correct it; nothing was published"
        ) from error
    except RecursionError as error:
        raise UsageError("is nested too deeply", subject=source) from error
    finally:
        loader.dispose()


@dataclass
class _Builder:
    """Turns nodes into plain data. Aliases are expanded, within a bound, for a few lines can stand for gigabytes."""

    source: str
    warnings: list[str] = field(default_factory=list)
    nodes: int = 0
    open_nodes: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise self._refusal(node, f"expands to more than {_MAX_NODES} values, the limit")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self.open_nodes:
            raise self._refusal(node, "contains itself")
        self.open_nodes.add(id(node))
        try:
            return [self.build(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else self._mapping(node)
        finally:
            self.open_nodes.discard(id(node))

    def _mapping(self, node: Any) -> dict[str, Any]:
        content: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = {**self._merge(value_node), **merged}
                continue
            key = self._key(key_node)
            if key in content:
                self.warnings.append(
                    f"{self.source}:{key_node.start_mark.line + 1}: key {key!r} stands twice; the last one counts, as in kubectl"
                )
            content[key] = self.build(value_node)
        return {**merged, **content}

    def _merge(self, node: yaml.Node) -> dict[str, Any]:
        built = self.build(node)
        parts = built if isinstance(built, list) else [built]
        if not all(isinstance(part, dict) for part in parts):
            raise self._refusal(node, "'<<' needs a mapping or a list of mappings")
        merged: dict[str, Any] = {}
        for part in parts:
            merged = {**part, **merged}
        return merged

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refusal(node, "a key must be a scalar")
        value = self._scalar(node)
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            raise self._refusal(node, "a key must not be null")
        return _go_number(value) if isinstance(value, float) else str(value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool":
                return parse_bool(text)
            case "int" | "float" as kind:
                return self._number(node, text, kind)
            case "binary":
                return self._binary(node, text)
            case "refused":
                raise self._refusal(node, f"{text} is no JSON number")
            case "merge":
                return text
            case other:
                raise self._refusal(node, f"tag {other!r} is not used in Kubernetes objects")

    def _number(self, node: yaml.ScalarNode, text: str, kind: str) -> int | float:
        plain = text.replace("_", "")
        integer = parse_integer(plain)
        if integer is not None and kind == "int":
            return integer
        try:
            value = float(integer if integer is not None else plain)
        except ValueError as error:
            raise self._refusal(node, f"{text!r} is no number") from error
        if not math.isfinite(value):
            raise self._refusal(node, f"{text} is too large")
        return value

    def _binary(self, node: yaml.ScalarNode, text: str) -> str:
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise self._refusal(node, f"!!binary is not base64 of UTF-8: {error}") from error

    def _refusal(self, node: yaml.Node, reason: str) -> UsageError:
        return UsageError(reason, subject=f"{self.source}:{node.start_mark.line + 1}", remedy="correct it; nothing was published")


def _go_number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)


def _place(source: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{source}:{mark.line + 1}" if mark is not None else source


def _reason(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error)
