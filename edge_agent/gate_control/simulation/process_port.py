"""What the harness must know of a site's process; another controller that keeps to it can be run on the same plants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.events import Command
from edge_agent.gate_control.simulation.plant_field import PlantField
from shared.contracts.gate_plan import GatePlan


@dataclass(frozen=True)
class Answer:
    """Of a process to a command or a plan."""

    accepted: bool
    reason: str = ""
    data: Mapping[str, str | float] | None = None


class SiteProcess(Protocol):
    """One site's gate process, as far as a simulation must know it."""

    async def scan(self) -> None:
        """One pass of the loop."""
        ...

    async def obey(self, commands: Sequence[Command]) -> Sequence[Answer]:
        """What became of people's commands, one after the other; they are carried out in a scan at once."""
        ...

    async def set_plan(self, plan: GatePlan) -> Answer:
        """Whether a plan was accepted."""
        ...

    def alarms(self) -> Mapping[str, tuple[str, str, str]]:
        """Phase, priority and reason of each alarm that is not normal, by `<gate, pool or site>/<name>`."""
        ...

    def modes(self) -> Mapping[str, str]:
        """The mode of each gate that people see."""
        ...

    async def kill(self) -> None:
        """Gone at once: nothing more is written."""
        ...

    async def stop(self) -> None:
        """Ended as by SIGTERM."""
        ...


StartProcess = Callable[[SiteConfiguration, PlantField, SimulatedClock, Path], Awaitable[SiteProcess]]
