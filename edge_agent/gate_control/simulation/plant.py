"""What a plant is to a simulation: time, samples, and writes. Plants of others keep to this too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class PlantSample:
    """One value as a sensor of the plant gives it."""

    point: str
    """`<gate>.<point>`: `g1.upstream_level`, `g1.downstream_level`, `g1.position`, `g1.flow`, `g1.moving`."""
    value: float
    sampled_at_s: float
    quality: str = "good"


@dataclass(frozen=True)
class Position:
    """Go to an opening and stay there."""

    opening_pct: float


@dataclass(frozen=True)
class Raise:
    """Open until stopped."""


@dataclass(frozen=True)
class Lower:
    """Close until stopped."""


@dataclass(frozen=True)
class Stop:
    """Stay where it is."""


PlantCommand = Position | Raise | Lower | Stop


class Plant(Protocol):
    """A canal with gates."""

    @property
    def time_s(self) -> float:
        """Its own time."""
        ...

    def advance(self, until_s: float) -> None:
        """Let time pass; a time in the past changes nothing."""
        ...

    def samples(self) -> Sequence[PlantSample]:
        """What is new since the last call."""
        ...

    def write(self, gate: str, command: PlantCommand) -> None:
        """Give a gate's actuator a command.

        Raises:
            KeyError: no such gate.
        """
        ...
