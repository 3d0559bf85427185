"""YAML as a site needs it: plain data, the line of everything, and no surprises. Pure.

Scalars by YAML 1.2's JSON words: `on`, `no` and `12:30` are text, `010` (8 or 10?) is refused, so are dates, tags, infinities.
A key that stands twice is refused: one of the two would silently lose.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from edge_agent.gate_control.check.finding import Finding, Lines, Path, Remark, SiteInvalid

_MAX_VALUES = 100_000
_MAX_DEPTH = 40
"""A site is nested nine deep; what parses and builds goes down the machine's own stack."""
_MAX_DIGITS = 40
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(r"[-+]?0[0-9]+")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_QUOTES = ("'", '"', "|", ">")
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class YamlText:
    """Plain data with the line of each part, and what was refused on the way."""

    data: Any
    lines: Lines
    remarks: list[Remark]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Gives nodes only; scalars stay text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name and form


def read_yaml(text: str, *, source: str) -> YamlText:
    """The one document of `text`.

    Raises:
        SiteInvalid: no YAML, or not exactly one document; names the line.
    """
    too_deep = _too_deep(text, source)
    if too_deep is not None:
        raise SiteInvalid((too_deep,), subject=source)
    node = _parsed(text, source, lambda loader: loader.get_single_node())
    builder = _Builder()
    data = builder.build(node, ()) if node is not None else None
    return YamlText(data, Lines(builder.places), builder.remarks)


def _too_deep(text: str, source: str) -> Finding | None:
    """Looked for in the flat stream of events, before anything is built."""

    def search(loader: Any) -> Finding | None:
        depth = 0
        while loader.check_event():
            event = loader.get_event()
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                line = event.start_mark.line + 1
                return Finding(
                    line, "site", f"is nested more than {_MAX_DEPTH} deep", "no site is", "close brackets, or correct the indent"
                )
        return None

    found: Finding | None = _parsed(text, source, search)
    return found


def _parsed(text: str, source: str, work: Callable[[Any], Any]) -> Any:
    """What `work` finds with a loader of the text.

    Raises:
        SiteInvalid: it is no YAML; names the line.
    """
    try:
        loader = _Loader(text)
        try:
            return work(loader)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        line = mark.line + 1 if mark is not None else 1
        lines = text.splitlines()
        has_tab = line <= len(lines) and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
        remedy = "indent with spaces, not with tabs" if has_tab or "tab" in reason else "correct indent, colon or quote there"
        raise SiteInvalid(
            (Finding(line, "site", f"is not valid YAML: {reason}", "nothing of it can be read", remedy),), subject=source
        ) from error


@dataclass
class _Builder:
    """Nodes to data. Aliases and `<<` are followed, within a bound: a few lines can stand for gigabytes."""

    places: dict[Path, int] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    open_nodes: set[int] = field(default_factory=set)
    values: int = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.values += 1
        self.places.setdefault(path, node.start_mark.line + 1)
        if self.values > _MAX_VALUES or id(node) in self.open_nodes or len(self.open_nodes) > _MAX_DEPTH:
            return self._refuse(path, "stands for too much, or contains itself", "an alias is repeated without end", "write it out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.open_nodes.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self.open_nodes.discard(id(node))

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        content: dict[str, Any] = {}
        merged: list[Any] = []
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(path, "a key is no plain word", "keys are names", "write one word before the colon")
            elif key == "<<":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            elif key in content:
                line = key_node.start_mark.line + 1
                self.places[(*path, f"{key} (again)")] = line
                self._refuse((*path, f"{key} (again)"), f"key '{key}' stands twice", "one of the two would be lost", "keep one of them")
            else:
                self.places[(*path, key)] = key_node.start_mark.line + 1
                content[key] = self.build(value_node, (*path, key))
        for source in merged:
            self._merge(source, path, content)
        return content

    def _merge(self, source: yaml.Node, path: Path, content: dict[str, Any]) -> None:
        if not isinstance(source, yaml.MappingNode):
            self._refuse(
                (*path, "<<"), "'<<' stands before something that is no mapping", "only mappings merge", "name an anchor of a mapping"
            )
            return
        merged = self.build(source, path)
        for key, value in merged.items() if isinstance(merged, dict) else ():
            content.setdefault(key, value)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        if node.tag not in (_TEXT_TAG, "!"):
            return self._refuse(path, f"tag {node.tag} is not used in a site", "values are plain", "remove the tag")
        if node.style in _QUOTES:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _AMBIGUOUS.fullmatch(text):
            plain = text.lstrip("+-0") or "0"
            return self._refuse(path, f"{text} can be read in two ways", "a leading 0 means base 8 to some", f"write {plain}, or quote it")
        if _NO_NUMBER.fullmatch(text):
            return self._refuse(path, f"{text} is no figure", "every limit must be a number that can be reached", "write a number")
        if len(text) > _MAX_DIGITS and (_INTEGER.fullmatch(text) or _HEXADECIMAL.fullmatch(text)):
            return self._refuse(path, f"{text[:20]}... has {len(text)} digits", "no figure of a canal has so many", "write a plain number")
        if _INTEGER.fullmatch(text):
            return int(text)
        if _HEXADECIMAL.fullmatch(text):
            return int(text, 16)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _refuse(self, path: Path, problem: str, reason: str, remedy: str) -> None:
        self.remarks.append(Remark(path, problem, reason, remedy))
