"""What a simulation leaves behind: everything that a judgement of it needs, as plain values."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Series:
    """One quantity over the plant's time."""

    times_s: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def between(self, from_s: float, to_s: float) -> Series:
        """The part from a time to another, both included."""
        first, last = bisect_left(self.times_s, from_s), bisect_right(self.times_s, to_s)
        return Series(self.times_s[first:last], self.values[first:last])

    def at(self, time_s: float) -> float:
        """The last value up to a time.

        Raises:
            ValueError: there is none.
        """
        index = bisect_right(self.times_s, time_s) - 1
        if index < 0:
            raise ValueError(f"nothing was recorded up to {time_s:g} s")
        return self.values[index]


@dataclass(frozen=True)
class CommandRecord:
    """A command as it went to an actuator."""

    at_s: float
    site: str
    gate: str
    verb: str
    """`move`, `stop`, `raise` or `lower`."""
    opening_pct: float | None
    """Of a move."""
    reason: str
    error: str = ""
    mode: str = ""
    """Of the gate, in the scan before."""
    run_s: float | None = None
    """Of `raise` and `lower`: how long the motor is to run."""
    position_pct: float | None = None
    """Where the gate truly stood; None where the plant had not told it."""


@dataclass(frozen=True)
class AlarmRecord:
    """A change of an alarm."""

    at_s: float
    site: str
    key: str
    """`<gate, pool or site>/<name>`."""
    change: str
    """The phase that it came to: `unacknowledged` when it was raised, then as the alarm table says, `normal` at the end."""
    priority: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ModeRecord:
    """A change of the mode that people see."""

    at_s: float
    site: str
    gate: str
    mode: str


@dataclass(frozen=True)
class Answered:
    """What became of a command or a plan."""

    at_s: float
    site: str
    what: str
    accepted: bool
    reason: str
    data: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Played:
    """An event as it was played."""

    at_s: float
    text: str


@dataclass(frozen=True)
class Run:
    """A whole simulation.

    `series` holds the plant's *true* values by point id (levels in m above the datum, positions in the point's unit, flows in
    m3/s), and `flow:<structure>` where the plant tells flows. Starts, travel and spilled water are of the plant too.
    """

    start_wall: datetime
    duration_s: float
    wall_s: float
    """How long the simulation took on the machine's own clock."""
    gates: tuple[str, ...]
    scans: int
    series: Mapping[str, Series]
    commands: tuple[CommandRecord, ...]
    alarms: tuple[AlarmRecord, ...]
    modes: tuple[ModeRecord, ...]
    answers: tuple[Answered, ...]
    played: tuple[Played, ...]
    starts: Mapping[str, int]
    """Of each gate's motor."""
    travel_m: Mapping[str, float]
    spilled_m3: Mapping[str, float]
    """Over the banks, by pool; empty where the plant does not count."""

    @property
    def speed(self) -> float:
        """Simulated seconds in a second, for the whole site or sites."""
        return self.duration_s / self.wall_s if self.wall_s > 0.0 else 0.0

    @property
    def speed_per_gate(self) -> float:
        """Gate-seconds simulated in a second."""
        return self.speed * len(self.gates)

    def alarm_times_s(self, name: str) -> tuple[float, ...]:
        """When alarms of a name (the part after the slash) were raised."""
        return tuple(alarm.at_s for alarm in self.alarms if alarm.change == "unacknowledged" and alarm.key.rpartition("/")[2] == name)

    def mode_at(self, gate: str, time_s: float) -> str:
        """The mode that people saw; empty before the first scan."""
        before = [record.mode for record in self.modes if record.gate == gate and record.at_s <= time_s]
        return before[-1] if before else ""
