"""Backoff, durable files, settings, subjects and the interlock rule."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.backoff import full_jitter_s
from shared.clock import SystemClock
from shared.contracts import subjects
from shared.contracts.interlock import Interlock, may_update
from shared.durable_file import read_optional, write_atomic
from shared.errors import UsageError
from shared.settings import load_settings


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_backoff_never_exceeds_its_cap_nor_goes_below_zero(attempt: int, unit: float) -> None:
    assert 0.0 <= full_jitter_s(attempt, unit, base_s=1.0, cap_s=60.0) <= 60.0


def test_backoff_grows_until_its_cap() -> None:
    assert [full_jitter_s(attempt, 1.0, cap_s=10.0) for attempt in range(6)] == [1, 2, 4, 8, 10, 10]


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"one", mode=0o600)
    write_atomic(path, b"two", mode=0o600)
    assert read_optional(path) == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert read_optional(path) == b"old"
    assert len(list(tmp_path.iterdir())) == 1


class Inner(BaseModel):
    port: int = 1


class Example(BaseModel):
    name: str
    inner: Inner = Inner()


def test_settings_come_from_file_environment_and_overrides_in_this_order(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('name = "file"\n[inner]\nport = 2\n')
    settings = load_settings(
        Example, path, environment={"MUNBON_INNER__PORT": "3", "OTHER": "x"}, overrides={"name": "flag", "inner.port": None}
    )
    assert settings == Example(name="flag", inner=Inner(port=3))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("name = 1", "name"), ("[inner]\nport='x'", r"inner\.port"), ("name =", "not valid TOML"), (None, "cannot be read")],
)
def test_a_wrong_setting_names_file_key_and_reason(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "x.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=reason) as caught:
        load_settings(Example, path)
    assert "x.toml" in str(caught.value)


@given(st.text(alphabet=st.characters(), max_size=70))
def test_only_safe_names_become_subjects(node: str) -> None:
    good = 1 <= len(node) <= 63 and all(char in "abcdefghijklmnopqrstuvwxyz0123456789-" for char in node)
    if good:
        assert subjects.node_of(subjects.event(node, "release")) == node
    else:
        with pytest.raises(UsageError):
            subjects.desired_key(node)


@pytest.mark.parametrize("subject", ["evt", "evt.*.x", "evt.>", "foo.n1.x", "", "evt.N1.x"])
def test_a_subject_without_a_valid_node_has_none(subject: str) -> None:
    assert subjects.node_of(subject) is None


def interlock(**changes: object) -> Interlock:
    content = {
        "site": "s",
        "written_at": datetime(2026, 1, 1, tzinfo=UTC),
        "boot_id": "b",
        "monotonic_s": 100.0,
        "scan_period_s": 1.0,
        "hold": False,
    }
    return Interlock.model_validate({**content, **changes})


@pytest.mark.parametrize(
    ("given_interlock", "now_s", "allowed", "word"),
    [
        (interlock(), 101.0, True, ""),
        (interlock(), 105.1, False, "does not scan"),
        (interlock(), 99.0, False, "does not scan"),
        (interlock(boot_id="other"), 101.0, False, "before the last boot"),
        (interlock(hold=True, reasons=("gate g1 is moving",)), 101.0, False, "g1 is moving"),
        (None, 101.0, False, "no interlock file"),
    ],
)
def test_doubt_about_the_gate_means_hold(given_interlock: Interlock | None, now_s: float, allowed: bool, word: str) -> None:
    may, why = may_update(given_interlock, boot_id="b", monotonic_s=now_s)
    assert may is allowed
    assert word in why


async def test_the_clock_moves_on_and_names_its_boot() -> None:
    clock = SystemClock()
    before = clock.monotonic_s()
    await clock.sleep(0.01)
    assert clock.monotonic_s() > before
    assert clock.wall().tzinfo is UTC
    assert len(clock.boot_id()) > 3
    assert isinstance(clock.is_synchronised(), bool)
