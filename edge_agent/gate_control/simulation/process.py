"""The gate's own process in a simulation: its loop and its journal, and a disk that keeps what was written when the process dies."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from edge_agent.gate_control.console.desk import Pending
from edge_agent.gate_control.decide.alarms import standing
from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.plan import check_plan
from edge_agent.gate_control.decide.restart import SavedState, restore
from edge_agent.gate_control.journal.database import JOURNAL_FILE
from edge_agent.gate_control.journal.scan_recorder import ScanRecorder
from edge_agent.gate_control.journal.state_file import STATE_FILE
from edge_agent.gate_control.loop.clock_trust import ClockTrust
from edge_agent.gate_control.loop.recording import Recording
from edge_agent.gate_control.loop.scan import GateLoop, Ports
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.events import Command
from edge_agent.gate_control.simulation.instant_journal import InstantJournal
from edge_agent.gate_control.simulation.plant_field import PlantField
from edge_agent.gate_control.simulation.process_port import Answer
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import JournalKind

PLAN_FILE = "gate-plan.json"
CLOCK_FILE = "clock-was-set"
_SAVED = TypeAdapter(SavedState)


class _Desk:
    """Where people's commands wait for the next scan."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._waiting: list[Pending] = []

    def put(self, pending: Pending) -> None:
        """For the next scan."""
        self._waiting.append(pending)

    def take(self) -> tuple[Pending, ...]:
        """All that waits."""
        taken, self._waiting = tuple(pending.take() for pending in self._waiting), []
        return taken


class GateProcess:
    """One life of a site's process: the loop of `munbon-gate` on simulated devices and a simulated clock.

    Not taken along: signatures and the socket (people speak to the loop at once), and the time that a disk takes.
    """

    def __init__(self, site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._trust = ClockTrust(clock, folder / CLOCK_FILE)
        self._plan = self._load_plan()
        self._desk = _Desk()
        self._numbers = itertools.count(1)
        self.journal = InstantJournal(folder / JOURNAL_FILE, clock)
        self.journal.append(JournalKind.STARTED)
        state = restore(self._load_state(), [gate.id for gate in site.gates()], clock.boot_id(), self._trust.now())
        self._recording = Recording(ScanRecorder(site, self.journal, clock.boot_id()))
        self.loop = GateLoop(site, self._ports(field), clock, self._trust, state, self._recording)
        self.loop.take_up(state)

    def _ports(self, field: PlantField) -> Ports:
        return Ports(
            field=field,
            journal=self.journal,
            desk=self._desk,
            put_interlock=lambda content: None,
            put_state=self._save,
            plan=lambda: self._plan,
            remote_generation=lambda: self._plan.generation if self._plan is not None else 0,
            conditions=dict,
            scanned=lambda: None,
            notify=lambda state: None,
        )

    async def scan(self) -> None:
        """Sense, validate, decide, actuate, journal."""
        await self.loop.scan()

    async def obey(self, commands: Sequence[Command]) -> list[Answer]:
        """Commands are carried out by a scan at once, as at a real site."""
        asked = [Pending(self._instruction(command)) for command in commands]
        for pending in asked:
            self._desk.put(pending)
        await self.loop.scan(is_early=True)
        outcomes = [await pending.outcome() for pending in asked]
        return [Answer(outcome.accepted, outcome.reason or "; ".join(outcome.reasons), outcome.data) for outcome in outcomes]

    async def set_plan(self, plan: GatePlan) -> Answer:
        """A plan is taken whole or refused whole; an old generation is a replay."""
        problems = check_plan(plan, self._site, self._trust.now())
        if self._plan is not None and plan.generation <= self._plan.generation:
            problems = (f"generation {plan.generation} is not newer than {self._plan.generation}", *problems)
        if problems:
            self.journal.append(JournalKind.PLAN_REFUSED, data={"generation": plan.generation, "reasons": list(problems)})
            return Answer(False, "; ".join(problems))
        self._plan = plan
        (self._folder / PLAN_FILE).write_text(plan.model_dump_json())
        self.journal.append(JournalKind.PLAN_ACCEPTED, data={"generation": plan.generation})
        return Answer(True)

    def alarms(self) -> Mapping[str, tuple[str, str, str]]:
        """All that stand."""
        return {key: (alarm.phase.value, str(alarm.priority), alarm.reason) for key, alarm in standing(self.loop.memory.state.alarms)}

    def modes(self) -> Mapping[str, str]:
        """As people see them."""
        return {name: gate.mode for name, gate in self.loop.memory.state.gates.items()}

    async def kill(self) -> None:
        """What is not written is lost."""
        self.journal.close(is_killed=True)

    async def stop(self) -> None:
        """As by SIGTERM: stop what moves, write what waits."""
        await self.loop.stop_motion()
        self._recording.close()
        self.journal.append(JournalKind.STOPPED)
        self.journal.close(is_killed=False)

    def _instruction(self, command: Command) -> Instruction:
        number = next(self._numbers)
        asked = (command.action, command.author, command.role, command.place)
        return Instruction(f"simulated-{number:016d}", *asked, code=f"{number:08d}")

    def _save(self, saved: SavedState) -> None:
        (self._folder / STATE_FILE).write_bytes(_SAVED.dump_json(saved))

    def _load_state(self) -> SavedState | None:
        path = self._folder / STATE_FILE
        return _SAVED.validate_json(path.read_bytes()) if path.exists() else None

    def _load_plan(self) -> GatePlan | None:
        path = self._folder / PLAN_FILE
        return GatePlan.model_validate_json(path.read_bytes()) if path.exists() else None


async def start_gate_process(site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> GateProcess:
    """A `StartProcess`."""
    return GateProcess(site, field, clock, folder)
