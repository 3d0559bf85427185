"""Updating the gate process: it waits, it goes over, it goes back; and a power cut at any moment leaves a version that works."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.update.commands import change, places_text
from edge_agent.gate_control.update.next_step import GateSeen, Process, Seen, Update, Wait, missing_of, next_step
from edge_agent.gate_control.update.places import CURRENT, PROGRAM, PROVEN, Places
from edge_agent.gate_control.update.updater import Outcome, Ports, Updater
from shared.errors import Permanent, Retryable, UsageError

OLD, NEW = "1.0", "1.1"
START_S = 2.0
"""A process scans so long after its start."""
AUTO = GateSeen(is_read=True, is_observing=False)


class PowerCut(BaseException):
    """Nothing of the machine goes on."""


@dataclass
class Cut:
    """After so many writes the power goes."""

    left: int = 1_000_000

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCut


class CutPlaces(Places):
    def __init__(self, root: Path, cut: Cut) -> None:
        super().__init__(root)
        self._cut = cut

    def point(self, link: str, version: str) -> None:
        self._cut()
        super().point(link, version)
        self._cut()

    def save(self, record: object) -> None:
        self._cut()
        super().save(record)  # type: ignore[arg-type]
        self._cut()

    def drop(self) -> None:
        self._cut()
        super().drop()
        self._cut()


@dataclass
class Machine:
    """A Pi: versions on its disk, one process, systemd that starts it."""

    root: Path
    scans: dict[str, bool]
    """Which versions can scan."""
    ends: set[str] = field(default_factory=set)
    """Which versions end by themselves."""
    gates: dict[str, GateSeen] = field(default_factory=lambda: {"g1": AUTO})
    gates_of: dict[str, dict[str, GateSeen]] = field(default_factory=dict)
    hold: str = ""
    now_s: float = 0.0
    running: str = ""
    began_s: float = -100.0
    pid: int = 100
    cut: Cut = field(default_factory=Cut)
    starts: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    refuses: bool = False

    @property
    def places(self) -> CutPlaces:
        return CutPlaces(self.root, self.cut)

    def ports(self) -> Ports:
        return Ports(self.places, self, self, lambda: self.now_s, self.sleep, self.told.append)

    def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s

    def restart(self) -> None:
        if self.refuses:
            raise Permanent("systemctl restart failed")
        self.cut()
        self.start()

    def start(self) -> None:
        version = self.places.named_by(CURRENT)
        assert version in self.places.installed(), "the link names a version that is there"
        self.running, self.began_s, self.pid = version, self.now_s, self.pid + 1
        self.starts.append(version)

    def state(self) -> Process:
        return Process.DOWN if self.running in self.ends else Process.UP

    def at(self, process: Process) -> Seen:
        if not self.scans.get(self.running) or self.now_s - self.began_s < START_S:
            return Seen(process=process)
        return Seen(self.pid, 5, self.gates_of.get(self.running, self.gates), self.hold, process)

    def update(self, version: str = NEW, *, within_s: float = 10.0, wait_s: float = 60.0) -> int:
        return change(self.ports(), version, within_s=within_s, wait_s=wait_s)

    def boot(self) -> None:
        """As the unit does: judge, start, judge; again while the process does not scan."""
        self.running = ""
        for _ in range(10):
            proven = self.places.named_by(PROVEN)
            assert proven in self.places.installed(), "the judge itself is a version that is there"
            self._finish()
            self.start()
            if self.scans[self.running]:
                self._finish(is_started=True)
                return
            self.now_s += START_S
            self.running = ""
            self.now_s += 1.0
        raise AssertionError(f"never scans: {self.starts}")

    def _finish(self, *, is_started: bool = False) -> None:
        with self.places.lock():
            Updater(self.ports()).finish(within_s=10.0, is_started=is_started)


def make(root: Path, *, old: bool = True, new: bool = True) -> Machine:
    for version in (OLD, NEW):
        program = root / "versions" / version / PROGRAM
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    machine = Machine(root, {OLD: old, NEW: new})
    machine.places.point(CURRENT, OLD)
    machine.places.point(PROVEN, OLD)
    machine.running = OLD
    return machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make(tmp_path)


def links(machine: Machine) -> tuple[str, str]:
    return machine.places.named_by(CURRENT), machine.places.named_by(PROVEN)


# ---------------------------------------------------------------------------------------------------------- stories


def test_the_new_version_scans_and_is_now_the_one_to_return_to(machine: Machine) -> None:
    assert machine.update() == Outcome.UPDATED
    assert (links(machine), machine.running) == ((NEW, NEW), NEW)
    assert machine.told[-1] == "version 1.1 controls, 2.2 s after its start"
    assert machine.places.load() is None
    assert machine.update() == Outcome.UPDATED
    assert machine.starts == [NEW], "what controls already is not restarted"


def test_a_version_that_does_not_scan_is_taken_back_after_ten_seconds(machine: Machine) -> None:
    machine.scans[NEW] = False
    assert machine.update() == Outcome.WENT_BACK
    assert (links(machine), machine.running, machine.starts) == ((OLD, OLD), OLD, [NEW, OLD])
    assert 12.0 <= machine.now_s <= 13.0
    assert "version 1.1: does not answer after 10 s: going back to version 1.0" in machine.told
    assert "went_back" in places_text(machine.places)


def test_a_disk_that_fills_in_the_middle_does_not_keep_the_bad_version_linked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.scans[NEW] = False
    restart = machine.restart

    def fill_and_restart() -> None:
        restart()
        if machine.running == NEW:
            monkeypatch.setattr(Path, "symlink_to", full)

    def full(_path: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(machine, "restart", fill_and_restart)
    assert machine.update() == Outcome.WENT_BACK
    assert (machine.running, machine.places.named_by(CURRENT)) == (OLD, OLD)
    assert not list(machine.root.glob(".*")), "nothing is left over"


def test_a_version_that_ends_at_once_is_taken_back_at_once(machine: Machine) -> None:
    machine.scans[NEW], machine.ends = False, {NEW}
    assert machine.update() == Outcome.WENT_BACK
    assert machine.now_s < 4.0


def test_a_version_that_scans_and_reads_nothing_is_taken_back(machine: Machine) -> None:
    machine.gates_of[NEW] = {"g1": replace(AUTO, is_read=False)}
    assert machine.update() == Outcome.WENT_BACK
    assert any("does not read gate g1" in line for line in machine.told)


def test_a_version_that_only_observes_what_was_controlled_is_taken_back(machine: Machine) -> None:
    machine.gates_of[NEW] = {"g1": replace(AUTO, is_observing=True)}
    assert machine.update() == Outcome.WENT_BACK
    assert any("only observes gate g1" in line for line in machine.told)


def test_a_gate_that_was_not_read_before_need_not_be_read_after(machine: Machine) -> None:
    machine.gates = {"g1": GateSeen(is_read=False, is_observing=True)}
    assert machine.update() == Outcome.UPDATED


def test_nothing_is_touched_while_a_gate_moves_and_it_is_not_waited_for_ever(machine: Machine) -> None:
    machine.gates = {"g1": AUTO, "g2": replace(AUTO, is_moving=True)}
    assert machine.update(wait_s=30.0) == Outcome.HELD
    assert machine.starts == []
    assert machine.told == ["waiting: gate g2 is moving", "waited 30 s and still: gate g2 is moving"]
    assert machine.places.load() is None


def test_a_flood_alarm_is_waited_for_until_it_is_over(machine: Machine) -> None:
    machine.hold = "flood alarm at gate g1: high_high"
    update, step = next_step(Update(NEW, OLD, 10.0, 60.0, 0.0), machine.at(Process.UP), 5.0)
    assert step == Wait("flood alarm at gate g1: high_high")
    machine.hold = ""
    assert machine.update() == Outcome.UPDATED
    assert update.target == NEW


def test_where_the_old_version_does_not_scan_nothing_is_waited_for(machine: Machine) -> None:
    machine.scans[OLD], machine.hold = False, "flood alarm"
    assert machine.update() == Outcome.UPDATED
    assert links(machine) == (NEW, NEW)


def test_where_neither_scans_the_link_names_the_old_one_and_the_exit_code_says_so(machine: Machine) -> None:
    machine.scans = {OLD: False, NEW: False}
    assert machine.update() == Outcome.SILENT
    assert links(machine) == (OLD, OLD)


def test_where_systemd_refuses_the_link_is_as_before(machine: Machine) -> None:
    machine.refuses = True
    with pytest.raises(Permanent):
        machine.update()
    assert links(machine) == (OLD, OLD)
    assert machine.places.load() is None


def test_two_updates_at_once_are_one(machine: Machine) -> None:
    with machine.places.lock(), pytest.raises(Retryable, match="another update is under way"):
        machine.update()


@pytest.mark.parametrize("name", ["2.0", "../../etc", "", ".hidden", "a/b"])
def test_a_version_that_is_not_installed_is_refused(machine: Machine, name: str) -> None:
    with pytest.raises(UsageError):
        machine.places.check(name)


def test_a_link_left_half_made_by_a_power_cut_is_no_hindrance(machine: Machine) -> None:
    (machine.root / ".current.new").symlink_to("versions/gone")
    assert machine.update() == Outcome.UPDATED


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"target": 3}', json.dumps({"target": NEW, "before": OLD, "before_gates": {"g1": {}}})]
)
def test_a_record_that_cannot_be_read_leaves_the_links_to_speak(machine: Machine, content: str) -> None:
    (machine.root / "update.json").write_text(content)
    machine.places.point(CURRENT, NEW)
    machine.scans[NEW] = False
    machine.boot()
    assert links(machine) == (OLD, OLD)


def test_a_dead_version_behind_the_link_is_undone_at_once(machine: Machine) -> None:
    machine.scans[NEW] = False
    machine.cut.left = 4  # the link names the new version, the process is not restarted yet
    with pytest.raises(PowerCut):
        machine.update()
    machine.cut.left = 1_000_000
    assert links(machine) == (NEW, OLD)
    (machine.root / "versions" / NEW / PROGRAM).unlink()
    machine.boot()
    assert machine.starts == [OLD]


# ------------------------------------------------------------------------------------------------------- power cuts


def until_it_stays(machine: Machine, cuts: Iterator[int]) -> None:
    """Boots, each cut short after so many writes; then one that is not."""
    for after in cuts:
        machine.cut.left = after
        try:
            machine.boot()
        except PowerCut:
            continue
    machine.cut.left = 1_000_000
    machine.boot()


@settings(max_examples=150, deadline=None)
@given(new=st.booleans(), cuts=st.lists(st.integers(0, 12), min_size=1, max_size=4), reads=st.booleans())
def test_power_cuts_at_any_points_leave_a_version_that_scans(new: bool, cuts: list[int], reads: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = make(Path(folder), new=new)
        machine.gates_of[NEW] = {"g1": replace(AUTO, is_read=reads)}
        machine.cut.left = cuts[0]
        with contextlib.suppress(PowerCut):
            machine.update()
        until_it_stays(machine, iter(cuts[1:]))
        current, proven = links(machine)
        assert machine.scans[machine.running]
        assert machine.running == current == proven
        assert machine.places.load() is None
        assert [version for version, _ in itertools.groupby(machine.starts)].count(NEW) <= len(cuts) + 1


seen_gates = st.dictionaries(st.sampled_from(["g1", "g2"]), st.builds(GateSeen, st.booleans(), st.booleans(), st.booleans()))
looks = st.builds(
    Seen, st.none() | st.integers(1, 3), st.integers(0, 3), seen_gates, st.sampled_from(["", "flood"]), st.sampled_from(Process)
)


@given(st.lists(looks, min_size=1, max_size=60), st.floats(0.1, 20.0), st.floats(0.0, 60.0))
def test_whatever_is_seen_nothing_is_restarted_while_a_gate_moves_and_it_ends(seen: list[Seen], within_s: float, wait_s: float) -> None:
    update, now_s, steps = Update(NEW, OLD, within_s, wait_s, 0.0), 0.0, list[str]()
    for look in itertools.chain(seen, itertools.repeat(seen[-1], 1_000)):
        now_s += 0.5
        update, step = next_step(update, look, now_s)
        name = type(step).__name__
        if name == "Switch" and look.pid is not None and look.scan:
            assert not look.hold
            assert not any(gate.is_moving for gate in look.gates.values())
        if name == "Prove":
            assert not missing_of(update.before_gates, update.old_pid, look)
        if name != "Wait":
            steps.append(name)
        if name in ("GiveUp", "Prove", "Returned", "Silent"):
            break
    assert steps in (["GiveUp"], ["Switch", "Prove"], ["Switch", "Back", "Returned"], ["Switch", "Back", "Silent"])
    assert now_s <= wait_s + 4 * within_s + 0.5 * len(seen) + 20.0
