"""`site.yaml` for people and editors: its JSON Schema, and docs/reference/site.md: `python -m deploy.site_docs [--check]`.

Meanings are the docstrings under the fields of `edge_agent/gate_control/model`; they are read from the source here, so that the
gate process need not carry them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deploy.pages import write_or_check
from deploy.site_words import HEAD, MEANINGS, refused_table
from edge_agent.gate_control.model import configuration, devices, gates, pools
from edge_agent.gate_control.model.configuration import SiteConfiguration

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "site.md"
MODULES = (configuration, devices, gates, pools)
UNITS = {
    "_m": "m", "_s": "s", "_pct": "%", "_m3s": "m3/s", "_m2": "m2", "_mb": "MB", "_days": "days", "_deg": "degrees",
    "kp_m2_per_s": "m2/s", "rate_pct_per_min": "%/min", "per_hour_m": "m in an hour", "per_day_m": "m in 24 h",
    "resonance_peak_s_per_m2": "s/m2", "starts_per_hour": "1/h", "max_rate_per_s": "unit/s", "baud_rate": "bit/s",
}  # fmt: skip


def site_schema() -> dict[str, Any]:
    """JSON Schema of `site.yaml`, with the meaning of each key."""
    schema = SiteConfiguration.model_json_schema(mode="validation")
    meanings = {name: field_meanings(model) for name, model in models().items()}
    for name, part in [(SiteConfiguration.__name__, schema), *schema.get("$defs", {}).items()]:
        for key, described in part.get("properties", {}).items():
            meaning = meanings.get(name, {}).get(key)
            if meaning:
                described["description"] = meaning
    return schema


def models() -> dict[str, type[BaseModel]]:
    """Every part of the configuration, in the order in which it is met from the top."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[type[BaseModel]] = [SiteConfiguration]
    while waiting:
        model = waiting.pop(0)
        if model.__name__ not in found:
            found[model.__name__] = model
            waiting += [inner for field in model.model_fields.values() for inner in _parts(field.annotation)]
    return found


def field_meanings(model: type[BaseModel]) -> dict[str, str]:
    """Docstring under each field, by its key in the file; those of base classes too."""
    own = f"{model.__name__}."
    found = {key.removeprefix(own): meaning for key, meaning in MEANINGS.items() if key.startswith(own)}
    for base in reversed(model.__mro__):
        if base.__module__ not in {module.__name__ for module in MODULES}:
            continue
        tree = ast.parse(inspect.getsource(base)).body[0]
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                value = below.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    info = model.model_fields[field.target.id]
                    found[info.alias or field.target.id] = " ".join(value.value.split())
    return found


def render() -> str:
    """The page as it should be."""
    lines = [HEAD]
    for name, model in models().items():
        about = " ".join((inspect.getdoc(model) or "").split())
        meanings = field_meanings(model)
        lines += [f"## {_title(name)}\n\n{about}\n\n", "| key | unit | value | default | meaning |\n", "|---|---|---|---|---|\n"]
        for field_name, info in model.model_fields.items():
            key = info.alias or field_name
            cells = (f"`{key}`", _unit(key), _value(info), _default(info), meanings.get(key, ""))
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
        lines.append("\n")
    return "".join(lines).rstrip() + "\n" + refused_table()


def main() -> int:
    """Write, or compare with `--check`; 1 when it is out of date."""
    return write_or_check(TARGET, render(), "make schemas")


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _parts(inner)


def _title(name: str) -> str:
    """`LevelLoop`: Level loop."""
    if name == SiteConfiguration.__name__:
        return "The site"
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return words.capitalize()


def _unit(key: str) -> str:
    if key in UNITS:
        return UNITS[key]
    fits = [suffix for suffix in UNITS if suffix.startswith("_") and key.endswith(suffix)]
    return UNITS[max(fits, key=len)] if fits else ""


def _value(info: FieldInfo) -> str:
    parts = list(_parts(info.annotation))
    if parts:
        linked = " or ".join(f"[{_title(part.__name__).lower()}](#{_title(part.__name__).lower().replace(' ', '-')})" for part in parts)
        return f"list of {linked}" if "tuple" in str(info.annotation) else linked
    words = [*_words(info.annotation)]
    text = ", ".join(f"`{word}`" for word in words) if words else _plain(info.annotation)
    bounds = [_bound(rule) for rule in (*info.metadata, *_inner_metadata(info.annotation)) if not parts and _bound(rule)]
    return f"{text}, {', '.join(bounds)}" if bounds else text


def _words(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif inspect.isclass(annotation) and issubclass(annotation, Enum):
        yield from (str(item.value) for item in annotation)
    else:
        for inner in get_args(annotation):
            yield from _words(inner)


def _plain(annotation: Any) -> str:
    kinds = set(_leaves(annotation))
    many = "list of " if "tuple" in str(annotation) else ""
    for kind, name in ((bool, "true or false"), (int, "whole number"), (float, "number"), (str, "text")):
        if kind in kinds:
            return f"{many}{name}"
    return many


def _leaves(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for one in inner:
        yield from _leaves(one)


def _inner_metadata(annotation: Any) -> Iterator[Any]:
    for inner in get_args(annotation):
        yield from getattr(inner, "__metadata__", ())
        yield from _inner_metadata(inner)


def _bound(rule: Any) -> str:
    rules = getattr(rule, "metadata", None) or [rule]
    names = (("gt", "above"), ("ge", "from"), ("lt", "below"), ("le", "to"))
    return " ".join(
        f"{word} {value:g}" for one in rules for name, word in names if isinstance(value := getattr(one, name, None), int | float)
    )


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is PydanticUndefined:
        return "(needed)"
    if value is None or value == "" or value == ():
        return "-"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value.value if isinstance(value, Enum) else value)


if __name__ == "__main__":
    sys.exit(main())
