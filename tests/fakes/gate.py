"""A site without devices: the pure steps of a scan, run on the simulated canal as fast as the machine can."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_agent.gate_control.decide.alarms import Phase
from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Place, Role
from edge_agent.gate_control.decide.restart import restore, saved_state
from edge_agent.gate_control.decide.state import Decision, SiteState
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command, ControllerState, GateState, MoveTo, Now, Reading, Sample, StopMotion, WriteOutcome
from edge_agent.gate_control.replay.step import Given, Memory, after_writing, scan
from edge_agent.gate_control.simulation.example import example_canal, example_site, site_yaml
from edge_agent.gate_control.simulation.integrator_delay import Canal
from edge_agent.gate_control.simulation.plant import PlantCommand, Position, Stop
from shared.contracts import envelope
from shared.contracts.gate_command import GateAction
from shared.contracts.gate_plan import GateDirective, GateLimits, GatePlan, Objective, ScheduleEntry, UpstreamLevelObjective
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.keys import Signer, signer_from_seed

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
OWNER = signer_from_seed(b"o" * 32, name="owner")
STRANGER = signer_from_seed(b"s" * 32, name="stranger")


def site_text(**options: Any) -> str:
    return site_yaml(**{"site": "north", "state_dir": "state", "run_dir": "run", "port": 502, **options})


def make_plan(
    objective: Objective | None = None,
    *,
    generation: int = 1,
    gate: str = "g1",
    site: str = "north",
    schedule: Sequence[ScheduleEntry] = (),
    limits: GateLimits | None = None,
    valid_from: datetime = START,
) -> GatePlan:
    directive = GateDirective(
        objective=objective or UpstreamLevelObjective(level_m=2.1), schedule=tuple(schedule), limits=limits or GateLimits()
    )
    return GatePlan(site=site, generation=generation, valid_from=valid_from, author="tests", gates={gate: directive})


def signed(plan: GatePlan, signer: Signer = OWNER) -> bytes:
    return sign_document(plan, [signer])


def write_trust_root(path: Path) -> None:
    path.write_text(json.dumps(make_trust_root({envelope.Role.GATE_PLAN: [OWNER.public]}).to_json()))


def now_at(time_s: float, *, trusted: bool = True) -> Now:
    return Now(time_s, START + timedelta(seconds=time_s), trusted)


RUNNING = GateModes(control=Control.AUTO, commissioning=Commissioning.COMMISSIONED)
"""Armed, and given to its controller."""
Distort = Callable[[Sample], Sample]


@dataclass
class CanalBench:
    """Scans of one second of the canal's time."""

    site: SiteConfiguration
    canal: Canal
    plan: GatePlan | None = None
    distort: Distort = lambda sample: sample
    more: Callable[[], Sequence[Sample]] = tuple
    """Samples that the canal does not have."""
    memory: Memory = field(default_factory=Memory)
    readings: dict[str, Reading] = field(default_factory=dict)
    commands: list[tuple[float, Command]] = field(default_factory=list)
    alarms: list[tuple[float, str, str]] = field(default_factory=list)
    """Time, key and event."""
    levels_m: list[float] = field(default_factory=list)
    decision: Decision | None = None
    time_s: float = 0.0
    trusted: bool = True
    refuses: str = ""
    """What the devices say to every command."""
    obeys_unheard: bool = False
    """They do what they were told though their answer is lost."""
    speaks: Callable[[float], bool] = lambda time_s: True
    """Whether the devices' answers come in the scan of that time."""

    def run(self, duration_s: float) -> None:
        for _ in range(round(duration_s)):
            self.scan()

    def run_until(self, alarm: str, within_s: float) -> float:
        """Until an alarm is raised; gives the time since the call."""
        began_s = self.time_s
        while not self.has_alarm(alarm):
            assert self.time_s - began_s < within_s, (
                f"{alarm} was not raised within {within_s} s; there is {sorted(self.memory.state.alarms)}"
            )
            self.scan()
        return self.time_s - began_s

    def scan(self, *asked: Instruction) -> tuple[Outcome, ...]:
        self.time_s += 1.0
        self.canal.advance(self.time_s)
        return self._decide(self.time_s, self.samples() if self.speaks(self.time_s) else [], asked)

    def decide_at(self, time_s: float) -> None:
        """A scan that decides a little after its devices were asked."""
        self._decide(time_s, self.samples(), ())

    def early(self, *asked: Instruction, after_s: float = 0.4) -> tuple[Outcome, ...]:
        """A scan for what people ask, so long after the last one: no device is asked."""
        return self._decide(self.time_s + after_s, [], asked)

    def _decide(self, time_s: float, samples: Sequence[Sample], asked: Sequence[Instruction]) -> tuple[Outcome, ...]:
        now = now_at(time_s, trusted=self.trusted)
        scanned = scan(self.site, self.memory, Given(now, samples, self.plan, asked))
        self.decision, self.readings = scanned.decision, dict(scanned.readings)
        outcomes = [self._write(command) for command in scanned.decision.commands]
        self.memory = after_writing(scanned.memory, outcomes, now)
        self.alarms += [(self.time_s, change.key, change.event.value) for change in scanned.decision.alarm_changes]
        self.levels_m.append(self.canal.levels_m["p1"])
        return scanned.answers

    def ask(self, action: GateAction, *, place: Place = Place.CONSOLE) -> Outcome:
        """A person asks; the scan carries it out."""
        [outcome] = self.scan(Instruction(f"i{self.time_s}", action, "ana", Role.MAINTAINER, place))
        return outcome

    def kill(self, *, reboot: bool = False, lose_state: bool = False) -> None:
        """The process dies and starts again; the water and the gate stay."""
        saved = None if lose_state else saved_state(self.memory.state, "boot", now_at(self.time_s, trusted=self.trusted))
        boot_id = "another boot" if reboot else "boot"
        gates = [gate.id for gate in self.site.gates()]
        self.memory = Memory(restore(saved, gates, boot_id, now_at(self.time_s, trusted=self.trusted)))

    def gate(self, gate_id: str = "g1") -> GateState:
        return self.memory.state.gates[gate_id]

    def modes(self, gate_id: str = "g1") -> GateModes:
        return self.memory.state.modes[gate_id]

    def controller(self, structure: str = "g1") -> ControllerState:
        return self.memory.state.controllers[structure]

    def position_pct(self, gate_id: str = "g1") -> float:
        return self.canal.actuators[gate_id].position_pct

    def has_alarm(self, key: str) -> bool:
        alarm = self.memory.state.alarms.get(key)
        return alarm is not None and alarm.is_on and alarm.phase in (Phase.UNACKNOWLEDGED, Phase.ACKNOWLEDGED)

    def moves(self, gate_id: str = "g1") -> list[tuple[float, float]]:
        """Time and opening of each move that was commanded."""
        return [(at_s, one.opening_pct) for at_s, one in self.commands if isinstance(one, MoveTo) and one.gate == gate_id]

    def samples(self) -> list[Sample]:
        return [*(self.distort(Sample(one.point, one.value, one.sampled_at_s)) for one in self.canal.samples()), *self.more()]

    def _write(self, command: Command) -> WriteOutcome:
        self.commands.append((self.time_s, command))
        if not self.refuses or self.obeys_unheard:
            wanted: PlantCommand = Position(command.opening_pct) if isinstance(command, MoveTo) else Stop()
            assert isinstance(command, MoveTo | StopMotion)
            self.canal.write(command.gate, wanted)
        return WriteOutcome(command.gate, command, self.refuses, may_be_done=self.obeys_unheard)


def make_bench(
    plan: GatePlan | None = None,
    *,
    gates: Sequence[str] = ("g1",),
    distort: Distort = lambda sample: sample,
    modes: GateModes = RUNNING,
    **options: Any,
) -> CanalBench:
    site = example_site(gates, **options)
    memory = Memory(SiteState(modes=dict.fromkeys(gates, modes)))
    return CanalBench(site, example_canal(gates), plan, distort, memory=memory)


def with_value(sample: Sample, point: str, value: float | None) -> Sample:
    return replace(sample, value=value) if sample.point == point else sample
