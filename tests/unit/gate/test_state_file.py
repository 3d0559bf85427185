"""The state on the disk: the newest one wins, and who must know waits until it is there."""

import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.gate_control.decide.modes import GateModes, Tag
from edge_agent.gate_control.decide.restart import SavedState, saved_state
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.journal.state_file import StateFile
from edge_agent.gate_control.model.values import Now
from shared.errors import Permanent


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StateFile]:
    made = StateFile(tmp_path / "state" / "gate-state.json")
    yield made
    made.stop(2.0)


def state_at(time_s: float, **modes: GateModes) -> SavedState:
    return saved_state(SiteState(modes=modes), "boot", Now(time_s, datetime(2026, 5, 1, tzinfo=UTC), True))


def test_what_is_settled_is_on_the_disk_and_the_newest_is_kept(file: StateFile, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    assert file.load() is None
    assert file.settle(0.0)
    for second in range(20):
        file.put(state_at(float(second), g1=GateModes(trip=f"trip {second}")))
    assert file.settle(10.0)
    found = file.load()
    assert found is not None
    assert (found.monotonic_s, found.state.modes["g1"].trip) == (19.0, "trip 19")


def test_a_disk_that_does_not_take_it_is_told_and_tried_again(file: StateFile, tmp_path: Path) -> None:
    file.put(state_at(1.0))
    assert not file.settle(0.05)
    assert "cannot be written" in file.error
    (tmp_path / "state").mkdir()
    assert file.settle(10.0)
    assert file.error == ""


@pytest.mark.root
def test_a_disk_that_others_filled_takes_every_tag_all_the_same(tmp_path: Path) -> None:
    disk = tmp_path / "card"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    file = StateFile(disk / "gate-state.json")
    try:
        file.put(state_at(0.0))
        assert file.settle(10.0)
        with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 4096):
                pass
        for second in range(1, 30):
            file.put(
                state_at(float(second), **{f"g{number}": GateModes(tags=(Tag("ana", "then", "x" * 200),)) for number in range(second)})
            )
            assert file.settle(10.0), file.error
        found = file.load()
        assert found is not None
        assert len(found.state.modes) == 29
        assert file.error == ""
    finally:
        file.stop(2.0)
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_damaged_state_is_put_aside_and_said(file: StateFile, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "gate-state.json").write_text("{")
    with pytest.raises(Permanent, match="is damaged"):
        file.load()
    assert (tmp_path / "state" / "gate-state.json.damaged").exists()
    assert file.load() is None


def test_no_changed_byte_goes_unnoticed(file: StateFile, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    file.put(state_at(1.0, g1=GateModes(tags=(Tag("ana", "2026-05-01T06:00:00Z"),))))
    assert file.settle(10.0)
    path = tmp_path / "state" / "gate-state.json"
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Permanent, match="is damaged"):
            file.load()
    path.write_bytes(whole)
    found = file.load()
    assert found is not None
    assert [tag.holder for tag in found.state.modes["g1"].tags] == ["ana"]
