"""Carries an update out, step by step; what each step is, `next_step` says."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from edge_agent.gate_control.update.keeper import Keeper
from edge_agent.gate_control.update.next_step import (
    Back,
    GiveUp,
    Nothing,
    NoWayBack,
    Process,
    Prove,
    Record,
    Returned,
    Seen,
    Silent,
    Stage,
    StartOnce,
    Switch,
    Undo,
    Update,
    Wait,
    after_a_cut,
    missing_of,
    next_step,
)
from edge_agent.gate_control.update.places import CURRENT, PROVEN, Places
from shared.errors import Permanent

LOOK_EVERY_S = 0.2


class Outcome(IntEnum):
    """How it ended; the exit code of the command."""

    UPDATED = 0
    HELD = 3
    """The gate moved, or a flood alarm stood, for too long; nothing was touched."""
    WENT_BACK = 4
    """The new version could not scan; the old one controls again."""
    SILENT = 5
    """Neither version scans."""


class Looks(Protocol):
    """See `look.Look`."""

    def at(self, process: Process) -> Seen: ...


@dataclass(frozen=True)
class Ports:
    """What the updater stands on. `tell` is given a line for people whenever something changed."""

    places: Places
    keeper: Keeper
    look: Looks
    now_s: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str], None]


class Updater:
    """Holds `Places.lock` by its caller."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._told = ""

    def update(self, target: str, *, within_s: float, wait_s: float) -> Outcome:
        """Go over to an installed version.

        Raises:
            OSError: the disk does not take links or record; the process that runs was not touched, or is the old one again.
            Permanent: systemd does not restart it.
        """
        places = self._ports.places
        before = places.named_by(CURRENT)
        update = Update(target, before, within_s, wait_s, self._ports.now_s())
        return self._run(update)

    def finish(self, *, within_s: float, is_started: bool = False) -> Outcome:
        """Judge a half-made update: before the process is started by its record, beside the running process by what that does.

        `is_started`: the process is known to run, even where it does not answer.

        Raises:
            OSError: the disk does not take it.
            Permanent: systemd does not restart it.
        """
        places = self._ports.places
        record = places.load()
        if record is None:
            return Outcome.UPDATED
        if places.named_by(CURRENT) == record.target and (is_started or self._look().pid is not None):
            now_s = self._ports.now_s()
            return self._run(Update(record.target, record.before, within_s, 0.0, now_s, Stage.TRYING, before_gates=record.before_gates))
        found = after_a_cut(record, places.named_by(CURRENT), places.named_by(PROVEN), places.installed())
        return self._judged(record, found)

    def _judged(self, record: Record, found: Nothing | StartOnce | Undo | NoWayBack) -> Outcome:
        places = self._ports.places
        match found:
            case Nothing():
                places.drop()
                return Outcome.UPDATED
            case StartOnce(noted):
                places.save(noted)
                self._tell(f"version {record.target} was never seen scanning: it is given one start")
                return Outcome.UPDATED
            case Undo(version, reason):
                places.point(CURRENT, version)
                places.drop()
                self._note(record, Outcome.WENT_BACK, reason)
                self._tell(f"{reason}: back to version {version}")
                return Outcome.WENT_BACK
            case NoWayBack(reason):
                self._tell(reason)
                return Outcome.SILENT

    def _run(self, update: Update) -> Outcome:
        while True:
            update, step = next_step(update, self._look(), self._ports.now_s())
            record = Record(update.target, update.before, before_gates=update.before_gates)
            match step:
                case Wait(reason):
                    self._tell(f"{update.stage.value}: {reason}")
                    self._ports.sleep(LOOK_EVERY_S)
                case GiveUp(reason):
                    self._tell(reason)
                    return Outcome.HELD
                case Switch():
                    self._switch(record)
                case Prove(after_s):
                    return self._prove(record, after_s)
                case Back(reason):
                    self._tell(f"{reason}: going back to version {update.before}")
                    self._back(update)
                case Returned(reason):
                    return self._end(record, Outcome.WENT_BACK, reason)
                case Silent(reason):
                    return self._end(record, Outcome.SILENT, reason)

    def _switch(self, record: Record) -> None:
        places = self._ports.places
        # what was installed a moment ago may be in memory only, and a link to half a version is a link to none
        os.sync()
        places.save(record)
        if record.before:
            places.keep_way_back(record.before)
        places.point(CURRENT, record.target)
        self._tell(f"starting version {record.target}")
        try:
            self._ports.keeper.restart()
        except Permanent:
            # the old process still runs: its link must name it again
            places.point(CURRENT, record.before)
            places.drop()
            raise

    def _prove(self, record: Record, after_s: float) -> Outcome:
        self._ports.places.point(PROVEN, record.target)
        self._ports.places.drop()
        self._note(record, Outcome.UPDATED, "")
        self._tell(f"version {record.target} controls, {after_s:.1f} s after its start")
        return Outcome.UPDATED

    def _back(self, update: Update) -> None:
        places = self._ports.places
        back = next((each for each in (update.before, places.named_by(PROVEN)) if each in places.installed()), "")
        if back:
            places.point(CURRENT, back)
        self._ports.keeper.restart()

    def _end(self, record: Record, outcome: Outcome, reason: str) -> Outcome:
        self._ports.places.drop()
        self._note(record, outcome, reason)
        self._tell(reason)
        return outcome

    def _look(self) -> Seen:
        return self._ports.look.at(self._ports.keeper.state())

    def _note(self, record: Record, outcome: Outcome, reason: str) -> None:
        self._ports.places.note({"target": record.target, "before": record.before, "outcome": outcome.name.lower(), "reason": reason})

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._ports.tell(line)


def is_same_version_running(ports: Ports, target: str) -> bool:
    """Whether there is nothing to do: the version is linked, proven, and its process scans."""
    places = ports.places
    if places.load() is not None or {places.named_by(CURRENT), places.named_by(PROVEN)} != {target}:
        return False
    return not missing_of({}, None, ports.look.at(ports.keeper.state()))
