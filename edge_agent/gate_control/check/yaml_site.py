"""Reading `site.yaml`: one file in, a site that hangs together or every mistake at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.gate_control.check.finding import Finding, Lines, Remark, SiteInvalid, place
from edge_agent.gate_control.check.references import unresolved
from edge_agent.gate_control.check.schema_words import in_words, is_echo
from edge_agent.gate_control.check.yaml_text import read_yaml
from edge_agent.gate_control.model.configuration import SiteConfiguration
from shared.errors import UsageError

MAX_BYTES = 1_000_000


def load_site(path: Path) -> SiteConfiguration:
    """The site of a file: every key known, every value in its range, every name that is used there.

    Raises:
        UsageError: cannot be read; as SiteInvalid it has one finding for each mistake. `check_site` judges the rest.
    """
    return read_site(path)[0]


def read_site(path: Path) -> tuple[SiteConfiguration, Lines]:
    """Like `load_site`, with the lines that `check_site` needs."""
    try:
        with path.open("rb") as file:
            # no more than that is ever read: a device has no end
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UsageError(f"is larger than {MAX_BYTES} bytes", subject=str(path), remedy="a site of 16 gates needs a tenth of that")
        text = content.decode("utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", subject=str(path), remedy="name the site's file, or make it readable"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError("is not UTF-8 text", subject=str(path), remedy="save it as UTF-8") from error
    return parse_site(text, source=str(path))


def parse_site(text: str, *, source: str) -> tuple[SiteConfiguration, Lines]:
    """A site from text; `source` names it in errors.

    Raises:
        SiteInvalid: one finding for each mistake.
    """
    read = read_yaml(text, source=source)
    remarks = list(read.remarks)
    if not isinstance(read.data, dict):
        raise SiteInvalid((_NOT_A_SITE,), subject=source)
    remarks += _doubles(read.data)
    try:
        # JSON in strict mode: a number in quotes, or a word for a number, is a mistake and not a guess
        site = SiteConfiguration.model_validate_json(json.dumps(read.data), strict=True)
    except ValidationError as error:
        already = {remark.path for remark in read.remarks}
        found = [in_words(one) for one in error.errors(include_url=False) if tuple(one["loc"]) not in already and not is_echo(one)]
        # the model sees twins too, but without their line
        remarks += [one for one in found if one.path or not one.problem.endswith("stands twice")]
        raise SiteInvalid(place(remarks, read.lines), subject=source) from error
    remarks += unresolved(site)
    if remarks:
        raise SiteInvalid(place(remarks, read.lines), subject=source)
    return site, read.lines


_NOT_A_SITE = Finding(
    1, "site", "is no site: the file holds no keys", "a site has at least site, devices, points and structures", "begin with 'site: name'"
)


def _doubles(data: dict[str, Any]) -> Iterator[Remark]:
    """Things of one kind with one id; gates count over all structures."""
    for kind in ("devices", "points", "pools", "structures"):
        yield from _twins(kind[:-1], [((kind, index), item) for index, item in enumerate(_list(data.get(kind)))])
    gates = [
        (("structures", index, "gates", bay), gate)
        for index, structure in enumerate(_list(data.get("structures")))
        for bay, gate in enumerate(_list(structure.get("gates")) if isinstance(structure, dict) else [])
    ]
    yield from _twins("gate", gates)


def _twins(kind: str, items: list[tuple[Any, Any]]) -> Iterator[Remark]:
    seen: set[str] = set()
    for path, item in items:
        name = item.get("id") if isinstance(item, dict) else None
        if isinstance(name, str) and name in seen:
            yield Remark((*path, "id"), f"{kind} {name} stands twice", "what names it would mean two things", "give it another id")
        elif isinstance(name, str):
            seen.add(name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
