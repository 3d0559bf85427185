"""Bytes become a document only when size, JSON, kind, version, critical features and fields all hold."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.codec import decode, parse_json_object
from shared.contracts.desired import Desired
from shared.contracts.gate_plan import GatePlan
from shared.contracts.release import Release
from shared.errors import ContractError, Malformed, TooLarge, UnsupportedFeature, UnsupportedVersion

DESIRED = {"kind": "Desired", "schema_version": "1.0", "node": "pi-1", "epoch": 1, "generation": 1, "issued_at": "2026-01-01T00:00:00Z"}


def raw(**changes: object) -> bytes:
    return json.dumps({**DESIRED, **changes}).encode()


def test_a_document_is_read() -> None:
    assert decode(raw(), Desired).issued_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_field_of_a_newer_minor_version_is_ignored() -> None:
    assert decode(raw(schema_version="1.9", surprise={"a": 1}), Desired).generation == 1


def test_another_major_version_is_refused_and_named_even_when_its_fields_differ() -> None:
    with pytest.raises(UnsupportedVersion, match=r"2\.0 is not known here"):
        decode(json.dumps({"kind": "Desired", "schema_version": "2.0"}).encode(), Desired)


def test_a_critical_feature_that_is_unknown_is_refused_and_a_known_one_is_not() -> None:
    with pytest.raises(UnsupportedFeature, match="blue-green"):
        decode(raw(critical=["blue-green"]), Desired)
    assert decode(raw(critical=["blue-green"]), Desired, features={"blue-green"}).critical == ("blue-green",)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not valid JSON"),
        (b"[]", "a JSON list"),
        (b'{"kind": "Desired", "kind": "Desired"}', "stands twice"),
        (b'{"kind": "Desired", "epoch": NaN}', "no JSON number"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (raw(kind="Release"), "expected 'Desired'"),
        (raw(schema_version=1), "schema_version"),
        (raw(critical="x"), "critical must be a list"),
        (raw(node="a.b"), "node"),
        (raw(node="a\n"), "node"),
        (raw(epoch=0), "epoch"),
        (raw(issued_at="2026-01-01T00:00:00"), "issued_at"),
        (raw(apps={"x": {"state": "present"}}), "needs a release"),
    ],
)
def test_a_broken_document_is_refused_with_the_place_and_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        decode(body, Desired)


def test_a_document_over_the_limit_is_refused_with_both_figures() -> None:
    with pytest.raises(TooLarge, match=rf"{Desired.MAX_BYTES + 1} bytes, the limit is {Desired.MAX_BYTES}"):
        decode(b" " * (Desired.MAX_BYTES + 1), Desired)


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*DESIRED, "critical", "apps"]), JSON), st.sampled_from([Desired, Release, GatePlan]))
def test_any_json_is_read_or_refused_never_a_crash(content: dict[str, object], model: type[Desired]) -> None:
    body = json.dumps({**DESIRED, "kind": model.KIND, **content}).encode()
    with contextlib.suppress(ContractError):
        document = decode(body, model)
        assert decode(json.dumps(document.to_json()).encode(), model, features=document.critical) == document


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with contextlib.suppress(ContractError):
        assert isinstance(parse_json_object(body, subject="x", max_bytes=150), dict)
