"""What an update does next, from where it stands and what is seen. Pure.

wait (until nothing moves) -> try the new version -> proven, or return to the old one. A record on disk says how far it came; what a
power cut left half-made is judged by `after_a_cut` at the next start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

SCANS_TO_SEE = 2
"""As many completed scans make a process one that scans; it moves nothing before its second."""
SILENT_S = 5.0
"""A gate process that has not answered for so long controls nothing, and nothing is waited for."""
SETTLE_S = 1.0
"""So soon after a restart its keeper may still tell of the process before."""
RETURN_SHARE = 3.0
"""The old version is waited for so many times as long as the new one: there is nothing else to fall back on."""
UNPROVEN_STARTS = 1
"""After a power cut a version that has never scanned is given so many starts."""


class Process(StrEnum):
    """What the process's keeper (systemd) says of it."""

    UP = "up"
    DOWN = "down"
    """Ended by itself, or failed to start."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class GateSeen:
    """One gate as the process tells of it."""

    is_read: bool
    """Its position or level can be read."""
    is_observing: bool
    is_moving: bool = False


@dataclass(frozen=True)
class Seen:
    """One look. `pid` is None where nobody listens on `gate.sock`; `scan` is 0 where who listens tells nothing."""

    pid: int | None = None
    scan: int = 0
    gates: Mapping[str, GateSeen] = field(default_factory=dict)
    hold: str = ""
    """Why the process must not be restarted now: a flood alarm, or an interlock file that says nothing."""
    process: Process = Process.UNKNOWN


class Stage(StrEnum):
    """How far an update has come."""

    WAITING = "waiting"
    TRYING = "trying"
    RETURNING = "returning"


@dataclass(frozen=True)
class Update:
    """An update under way; times are of the monotonic clock."""

    target: str
    before: str
    within_s: float
    """The new version must scan after so long, counted from its start."""
    wait_s: float
    """A moving gate or a flood alarm is waited for so long at most."""
    since_s: float
    """Of this stage."""
    stage: Stage = Stage.WAITING
    silent_since_s: float | None = None
    old_pid: int | None = None
    before_gates: Mapping[str, GateSeen] = field(default_factory=dict)
    reason: str = ""
    """Why the old version is returned to."""


@dataclass(frozen=True)
class Wait:
    """Look again soon."""

    reason: str


@dataclass(frozen=True)
class GiveUp:
    """Nothing was touched."""

    reason: str


@dataclass(frozen=True)
class Switch:
    """Set the link to the new version and restart the process."""


@dataclass(frozen=True)
class Prove:
    """The new version scans: it is now the one to return to."""

    after_s: float


@dataclass(frozen=True)
class Back:
    """Set the link to the old version and restart the process."""

    reason: str


@dataclass(frozen=True)
class Returned:
    """The old version scans again."""

    reason: str


@dataclass(frozen=True)
class Silent:
    """Neither version scans; the link names the old one, and systemd goes on starting it."""

    reason: str


Step: TypeAlias = Wait | GiveUp | Switch | Prove | Back | Returned | Silent


def next_step(update: Update, seen: Seen, now_s: float) -> tuple[Update, Step]:
    """The update as it stands after the step, and the step."""
    spent_s = now_s - update.since_s
    if update.stage is Stage.WAITING:
        return _wait(update, seen, now_s, spent_s)
    missing = missing_of(update.before_gates, update.old_pid, seen)
    if update.stage is Stage.TRYING:
        if not missing:
            return update, Prove(spent_s)
        if seen.process is Process.DOWN and spent_s >= SETTLE_S:
            return _back(update, seen, now_s, f"version {update.target} ended by itself")
        if spent_s >= update.within_s:
            return _back(update, seen, now_s, f"version {update.target}: {missing} after {spent_s:.0f} s")
        return update, Wait(missing)
    if not missing_of({}, update.old_pid, seen):
        return update, Returned(update.reason)
    if spent_s >= RETURN_SHARE * update.within_s:
        return update, Silent(f"{update.reason}; and version {update.before} {missing} either")
    return update, Wait(missing)


def _wait(update: Update, seen: Seen, now_s: float, spent_s: float) -> tuple[Update, Step]:
    if seen.pid is None or not seen.scan:
        silent_since_s = now_s if update.silent_since_s is None else update.silent_since_s
        if now_s - silent_since_s < SILENT_S:
            return replace(update, silent_since_s=silent_since_s), Wait("the gate process does not answer")
        return replace(update, stage=Stage.TRYING, since_s=now_s, old_pid=seen.pid), Switch()
    update = replace(update, silent_since_s=None)
    moving = sorted(name for name, gate in seen.gates.items() if gate.is_moving)
    reason = seen.hold or (f"gate {', '.join(moving)} is moving" if moving else "")
    if not reason:
        return replace(update, stage=Stage.TRYING, since_s=now_s, old_pid=seen.pid, before_gates=dict(seen.gates)), Switch()
    if spent_s >= update.wait_s:
        return update, GiveUp(f"waited {spent_s:.0f} s and still: {reason}")
    return update, Wait(reason)


def _back(update: Update, seen: Seen, now_s: float, reason: str) -> tuple[Update, Step]:
    return replace(update, stage=Stage.RETURNING, since_s=now_s, old_pid=seen.pid, reason=reason), Back(reason)


def missing_of(before: Mapping[str, GateSeen], old_pid: int | None, seen: Seen) -> str:
    """What the process that should run now does not do yet; empty when it does all that the one before did.

    Rule: it answers, it is another process, it has completed SCANS_TO_SEE scans; each gate that was read is read again, and each that
    was under control is not merely observed.
    """
    if seen.pid is None or seen.pid == old_pid:
        return "does not answer"
    if seen.scan < SCANS_TO_SEE:
        return "does not scan"
    now = seen.gates
    if unread := sorted(name for name, gate in before.items() if gate.is_read and not (name in now and now[name].is_read)):
        return f"does not read gate {', '.join(unread)}"
    if idle := sorted(name for name, gate in before.items() if not gate.is_observing and name in now and now[name].is_observing):
        return f"only observes gate {', '.join(idle)}"
    return ""


# ------------------------------------------------------------------------------------------------- after a power cut


@dataclass(frozen=True)
class Record:
    """What is on disk while an update is under way."""

    target: str
    before: str
    starts: int = 0
    """How often the new version was started without an updater beside it."""
    before_gates: Mapping[str, GateSeen] = field(default_factory=dict)


@dataclass(frozen=True)
class Nothing:
    """The link names the version before, or one that was seen scanning: only the record is left over."""


@dataclass(frozen=True)
class StartOnce:
    """Start the new version; the record notes it first."""

    record: Record


@dataclass(frozen=True)
class Undo:
    """Set the link to a version that has scanned, before the process is started."""

    version: str
    reason: str


@dataclass(frozen=True)
class NoWayBack:
    """Neither the version before nor the proven one is installed any more: the new one is started again and again."""

    reason: str


AfterCut: TypeAlias = Nothing | StartOnce | Undo | NoWayBack


def after_a_cut(record: Record, current: str, proven: str, installed: Collection[str]) -> AfterCut:
    """What becomes of a half-made update, asked before the process is started.

    Rule: a version that was never seen scanning is started UNPROVEN_STARTS times; each further start is the old version's. A link that
    names no installed version is undone at once. Where it must choose, it prefers the version before, then the proven one.
    """
    if current in (record.before, proven) and current in installed:
        return Nothing()
    if current == record.target and current in installed and record.starts < UNPROVEN_STARTS:
        return StartOnce(replace(record, starts=record.starts + 1))
    back = next((version for version in (record.before, proven) if version in installed and version != record.target), "")
    reason = f"version {record.target} was started {record.starts} time(s) and was never seen scanning"
    return Undo(back, reason) if back else NoWayBack(f"{reason}; no other version is installed")
