"""A site without devices: the pure steps of a scan, run on the simulated canal as fast as the machine can."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_agent.gate_control.decide.v1.site import decide, record_outcomes
from edge_agent.gate_control.model.site import SiteSettings
from edge_agent.gate_control.model.values import MoveTo, Now, PointHistory, Sample
from edge_agent.gate_control.model.values_v1 import GateReadings, SiteState, WriteOutcome
from edge_agent.gate_control.simulation.canal import IntegratorDelayCanal
from edge_agent.gate_control.simulation.example import example_canal, gate_toml
from edge_agent.gate_control.simulation.plant import Position
from edge_agent.gate_control.validate_v1 import validate_samples
from shared.contracts.envelope import Role
from shared.contracts.gate_plan import GateDirective, GateLimits, GatePlan, Objective, ScheduleEntry, UpstreamLevelObjective
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.keys import Signer, signer_from_seed

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
OWNER = signer_from_seed(b"o" * 32, name="owner")
STRANGER = signer_from_seed(b"s" * 32, name="stranger")


def site_settings(*, gates: Sequence[str] = ("g1",), **options: Any) -> SiteSettings:
    return SiteSettings.model_validate(tomllib.loads(site_toml(gates=gates, **options)))


def site_toml(**options: Any) -> str:
    return gate_toml(**{"site": "north", "state_dir": "state", "run_dir": "run", "port": 502, **options})


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
    path.write_text(json.dumps(make_trust_root({Role.GATE_PLAN: [OWNER.public]}).to_json()))


def now_at(time_s: float, *, trusted: bool = True) -> Now:
    return Now(time_s, START + timedelta(seconds=time_s), trusted)


Distort = Callable[[Sample], Sample]


@dataclass
class CanalBench:
    """Scans of one second of the canal's time."""

    settings: SiteSettings
    canal: IntegratorDelayCanal
    plan: GatePlan | None = None
    distort: Distort = lambda sample: sample
    state: SiteState = field(default_factory=SiteState)
    histories: dict[str, PointHistory] = field(default_factory=dict)
    readings: dict[str, GateReadings] = field(default_factory=dict)
    commands: list[tuple[float, MoveTo]] = field(default_factory=list)
    levels_m: list[float] = field(default_factory=list)
    time_s: float = 0.0
    trusted: bool = True

    def run(self, duration_s: float) -> None:
        for _ in range(round(duration_s)):
            self.scan()

    def scan(self) -> None:
        self.time_s += 1.0
        self.canal.advance(self.time_s)
        now = now_at(self.time_s, trusted=self.trusted)
        self.histories, self.readings = validate_samples(self.settings, self.histories, self._samples(), now)
        decision = decide(self.state, self.readings, self.plan, self.settings, now)
        for command in decision.commands:
            self.canal.write(command.gate, Position(command.opening_pct))
            self.commands.append((self.time_s, command))
        outcomes = [WriteOutcome(command.gate, command.opening_pct) for command in decision.commands]
        self.state = record_outcomes(decision.state, outcomes, now)
        self.levels_m.append(self.canal.levels_m[0])

    def restart(self) -> None:
        """The process dies: all it knew is gone, the water and the gate stay."""
        self.state, self.histories = SiteState(), {}

    def gate(self, gate_id: str = "g1") -> Any:
        return self.state.gates[gate_id]

    def _samples(self) -> list[Sample]:
        found = {sample.point: sample.value for sample in self.canal.samples()}
        samples: list[Sample] = []
        for gate, actuator in self.canal.actuators.items():
            status = actuator.moving << 0 | (not actuator.is_local) << 5
            values = {
                "upstream_level": found[f"{gate}.upstream_level"],
                "position": round(actuator.position_pct, 1),
                "status": float(status),
            }
            samples += [self.distort(Sample(f"{gate}.{name}", value, self.time_s)) for name, value in values.items()]
        return samples


def make_bench(
    plan: GatePlan | None = None, *, gates: Sequence[str] = ("g1",), distort: Distort = lambda sample: sample, **options: Any
) -> CanalBench:
    return CanalBench(site_settings(gates=gates, **options), example_canal(gates), plan, distort)


def with_value(sample: Sample, point: str, value: float | None) -> Sample:
    return replace(sample, value=value) if sample.point == point else sample
