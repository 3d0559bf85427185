"""Every version of every document that was ever recorded can be read for ever."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.contract_catalogue import WIRE
from deploy.schemas import outdated
from shared.contracts.codec import validate
from tests.contract.wire.record import EXAMPLES, examples

FILES = sorted(EXAMPLES.glob("*.json"))
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_example_is_still_read_in_full(path: Path) -> None:
    name = path.stem.rsplit("-", 1)[0]
    recorded = json.loads(path.read_text(encoding="utf-8"))
    assert missing(recorded, validate(recorded, WIRE[name], subject=name).to_json()) == []


def missing(recorded: Any, read: Any, place: str = "") -> list[str]:
    """Places whose recorded value was not read; a newer minor version may have more fields, at any depth."""
    if isinstance(recorded, dict) and isinstance(read, dict):
        return [found for key, value in recorded.items() for found in missing(value, read.get(key), f"{place}.{key}")]
    if isinstance(recorded, list) and isinstance(read, list) and len(recorded) == len(read):
        return [found for index, value in enumerate(recorded) for found in missing(value, read[index], f"{place}.{index}")]
    return [] if recorded == read else [f"{place}: {recorded!r} was read as {read!r}"]


def test_what_is_not_read_in_full_is_noticed_at_any_depth() -> None:
    assert missing({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 2, "new": 3}]}, "new": 4}) == []
    assert missing({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}) == [".a.b.1.c: 2 was read as 3"]
    assert missing({"a": [1, 2]}, {"a": [1]}) == [".a: [1, 2] was read as [1]"]


def test_each_contract_has_an_example_of_its_present_version() -> None:
    assert set(examples()) == set(WIRE)
    for name, document in examples().items():
        assert (EXAMPLES / f"{name}-{getattr(document, 'schema_version', '1.0')}.json").exists()


def test_what_is_recorded_is_what_this_version_writes() -> None:
    for name, document in examples().items():
        path = EXAMPLES / f"{name}-{getattr(document, 'schema_version', '1.0')}.json"
        assert json.loads(path.read_text(encoding="utf-8")).keys() <= document.to_json().keys(), name


def test_the_exported_schemas_are_those_of_the_code() -> None:
    assert outdated(ROOT / "docs" / "reference" / "schemas") == []
