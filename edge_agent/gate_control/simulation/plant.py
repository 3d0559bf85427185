"""What a plant is to a simulation: time, samples and writes. A stable interface: plants of others keep to this too.

A plant is the water, the gates and their actuators; sensors that err are laid over it by the harness. To write one:

- `time_s` begins at 0 with the canal in the state in which control is to find it; `advance(until_s)` leads up to `until_s`, and
  never beyond it. A plant with longer steps stays behind until one is full;
- `samples()` gives true values under the point ids of `site.yaml`, in the unit of the point: levels and flows as the pools
  and structures name them, positions as the actuators name them (0 % = least flow), and `<gate>.<fact>` for the facts
  of `ACTUATOR_FACTS`, each 0 or 1. Values may come seldom, late, in bursts, out of order and twice: they count by
  `sampled_at_s`, and grow old until a newer one comes, so that a value that was measured again is given again. A fact stands until
  another is given; one that is never given counts as 0, `remote` as 1. Points that no site knows are recorded and read by nobody;
- `quality` is `good`, `silent` (no answer came), or a word of the device's own for a value that it does not vouch for;
- `write` takes effect on the motor, not on the water: the actuator then travels at its own speed. `Position` goes to gates that take
  a position, `Raise`, `Lower` and `Stop` to gates with relays, `Stop` to all. Whatever it raises counts as a device that
  refuses: it stands in `Run.commands` as the command's error, and raises the gate's alarm;
- whatever disturbs the canal (demand, rain, weed) is part of the plant, by its own schedule.

`FaultyPlant` is what the harness needs on top for actuator faults, `SpillingPlant` to count lost water, `FlowingPlant` to judge
flows; all three are optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

GOOD = "good"
SILENT = "silent"
"""A point that did not answer; its value means nothing."""


@dataclass(frozen=True)
class Sample:
    """One true value of the plant at a time of its own."""

    point: str
    value: float
    sampled_at_s: float
    quality: str = GOOD
    """`good`, `silent`, or another word for a value that is not to be believed."""


@dataclass(frozen=True)
class Position:
    """Go to an opening and stay there."""

    opening_pct: float


@dataclass(frozen=True)
class Raise:
    """Run towards more flow until stopped or at the limit."""


@dataclass(frozen=True)
class Lower:
    """Run towards less flow until stopped or at the limit."""


@dataclass(frozen=True)
class Stop:
    """Stay where it is."""


PlantCommand = Position | Raise | Lower | Stop


def aim_pct(command: PlantCommand, position_pct: float) -> float:
    """Where a motor that stands at `position_pct` runs to, in percent of opening: for plants that have no better model of it."""
    match command:
        case Position(opening_pct):
            return opening_pct
        case Raise():
            return 100.0
        case Lower():
            return 0.0
        case Stop():
            return position_pct


class Plant(Protocol):
    """A canal with gates."""

    @property
    def time_s(self) -> float:
        """Its own time, from 0."""
        ...

    def advance(self, until_s: float) -> None:
        """Let time pass; a time in the past changes nothing."""
        ...

    def samples(self) -> Sequence[Sample]:
        """What is new since the last call."""
        ...

    def write(self, gate: str, command: PlantCommand) -> None:
        """Give a gate's actuator a command.

        Raises:
            Exception: the actuator does not take it; told in the run.
        """
        ...


class ActuatorTrouble(StrEnum):
    """What can be wrong with an actuator."""

    STUCK = "stuck"
    """The motor runs, the gate does not follow, and nothing says so."""
    JAMMED = "jammed"
    """Stuck, and the actuator says so."""
    LOCAL = "local"
    """The selector stands at LOCAL: commands are ignored."""
    REVERSED = "reversed"
    """Wired the wrong way round."""
    SLOW = "slow"
    """A quarter of its speed."""
    CREEPING = "creeping"
    """Sinks towards less flow without a command, at a tenth of its speed."""
    RUNAWAY = "runaway"
    """A contactor sticks: runs towards less flow at full speed, whatever it is told."""


@runtime_checkable
class FaultyPlant(Protocol):
    """A plant whose actuators can be given faults."""

    def set_trouble(self, gate: str, trouble: ActuatorTrouble, *, on: bool) -> None:
        """Begin or end a fault.

        Raises:
            KeyError: no such gate.
        """
        ...

    def move_by_hand(self, gate: str, opening_pct: float) -> None:
        """Somebody turns the handwheel.

        Raises:
            KeyError: no such gate.
        """
        ...


@runtime_checkable
class SpillingPlant(Protocol):
    """A plant that counts what runs over its banks."""

    @property
    def spilled_m3(self) -> Mapping[str, float]:
        """Water lost so far, by pool."""
        ...


@runtime_checkable
class FlowingPlant(Protocol):
    """A plant that tells flows, measured or not."""

    def flow_m3s(self, structure: str) -> float:
        """Through a structure, now.

        Raises:
            KeyError: no such structure.
        """
        ...
