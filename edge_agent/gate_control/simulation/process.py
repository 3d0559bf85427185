"""The gate's own process in a simulation: the scan that control runs, and a disk that loses what was not written when it dies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from edge_agent.gate_control.decide.alarms import standing
from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.decide.restart import SavedState, durable_part, restore, saved_state
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Now
from edge_agent.gate_control.replay.step import Given, Memory, after_writing, scan
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.events import Command
from edge_agent.gate_control.simulation.plant_field import PlantField
from edge_agent.gate_control.simulation.process_port import Answer
from shared.contracts.gate_plan import GatePlan

STATE_FILE = "gate-state.json"
PLAN_FILE = "gate-plan.json"
SAVE_EVERY_S = 10.0
"""What is not urgent; alarms, modes, orders and tags are written in the scan that changes them."""
_SAVED = TypeAdapter(SavedState)


class GateProcess:
    """One life of a site's process."""

    def __init__(self, site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> None:
        self._site = site
        self._field = field
        self._clock = clock
        self._folder = folder
        self._plan = self._load_plan()
        self._memory = Memory(restore(self._load_state(), [gate.id for gate in site.gates()], clock.boot_id(), self._now()))
        self._numbers = itertools.count(1)
        self._saved_part: object = None
        self._saved_at_s = clock.monotonic_s()

    async def scan(self) -> None:
        """Sense, validate, decide, actuate, save."""
        await self._scan(())

    async def obey(self, commands: Sequence[Command]) -> list[Answer]:
        """Commands run a scan at once, as they do at a real site."""
        outcomes = await self._scan(tuple(self._instruction(command) for command in commands))
        return [Answer(outcome.accepted, outcome.reason or "; ".join(outcome.reasons), outcome.data) for outcome in outcomes]

    def _instruction(self, command: Command) -> Instruction:
        number = next(self._numbers)
        asked = (command.action, command.author, command.role, command.place)
        return Instruction(f"simulated-{number:016d}", *asked, code=f"{number:08d}")

    async def set_plan(self, plan: GatePlan) -> Answer:
        """A newer generation replaces the plan whole."""
        if self._plan is not None and plan.generation <= self._plan.generation:
            return Answer(False, f"generation {plan.generation} is not newer than {self._plan.generation}")
        self._plan = plan
        (self._folder / PLAN_FILE).write_text(plan.model_dump_json())
        return Answer(True)

    def alarms(self) -> Mapping[str, tuple[str, str, str]]:
        """All that stand."""
        return {key: (alarm.phase.value, str(alarm.priority), alarm.reason) for key, alarm in standing(self._memory.state.alarms)}

    def modes(self) -> Mapping[str, str]:
        """As people see them."""
        return {name: gate.mode for name, gate in self._memory.state.gates.items()}

    def reasons(self) -> Mapping[str, tuple[str, ...]]:
        """Why each gate moves, or does not."""
        return {name: gate.reasons for name, gate in self._memory.state.gates.items()}

    async def kill(self) -> None:
        """What is not written is lost."""

    async def stop(self) -> None:
        """Write what waits."""
        self._save(self._now())

    async def _scan(self, instructions: tuple[Instruction, ...]) -> tuple[Outcome, ...]:
        samples = await self._field.read(0.6 * self._site.scan_period_s)
        now = self._now()
        scanned = scan(self._site, self._memory, Given(now, samples, self._plan, instructions))
        commands = scanned.decision.commands
        outcomes = await self._field.act(commands, 0.3 * self._site.scan_period_s) if commands else []
        self._memory = after_writing(scanned.memory, outcomes, now)
        part = durable_part(self._memory.state)
        if part != self._saved_part or now.monotonic_s - self._saved_at_s >= SAVE_EVERY_S:
            self._saved_part = part
            self._save(now)
        return scanned.answers

    def _now(self) -> Now:
        return Now(self._clock.monotonic_s(), self._clock.wall(), self._clock.is_synchronised())

    def _save(self, now: Now) -> None:
        self._saved_at_s = now.monotonic_s
        (self._folder / STATE_FILE).write_bytes(_SAVED.dump_json(saved_state(self._memory.state, self._clock.boot_id(), now)))

    def _load_state(self) -> SavedState | None:
        path = self._folder / STATE_FILE
        return _SAVED.validate_json(path.read_bytes()) if path.exists() else None

    def _load_plan(self) -> GatePlan | None:
        path = self._folder / PLAN_FILE
        return GatePlan.model_validate_json(path.read_bytes()) if path.exists() else None


async def start_gate_process(site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> GateProcess:
    """A `StartProcess`."""
    return GateProcess(site, field, clock, folder)
