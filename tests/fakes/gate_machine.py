"""A computer with a gate process on it, scan by scan: clocks that jump, a disk that keeps what the loop gives it, deaths and reboots.

Three structures in a row, one of each kind: an actuator that positions itself, one with relays, and two bays of which one says
nothing of itself. Gates go where they are told, as far as nobody garbles what they say of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pydantic import TypeAdapter

from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes
from edge_agent.gate_control.decide.restart import SavedState, durable_part, restore, saved_state
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.values import Command, Motion, MoveTo, Now, Pulse, Sample, WriteOutcome
from edge_agent.gate_control.replay.step import Given, Memory, Scanned, after_writing, scan
from shared.contracts.gate_plan import GatePlan
from tests.fakes.gate_site import START, gate, level_point, pool, site, tcp_device

SAVE_EVERY_S = 60.0
"""As the loop does."""
STARTS_PER_HOUR = 5
_SAVED = TypeAdapter(SavedState)


def machine_site() -> SiteConfiguration:
    """Pool p1 ends at g1, p2 at g2, p3 at the two bays of g3, which deliver orders."""
    loop = {"kp_m2_per_s": 2.0, "ti_s": 900.0, "filter_s": 10.0, "control_period_s": 20.0}
    limits = {
        "opening_min_pct": 5.0, "opening_max_pct": 90.0, "max_step_pct": 15.0, "deadband_pct": 0.5, "rest_s": 5.0, "reversal_pause_s": 3.0,
        "starts_per_hour": STARTS_PER_HOUR,
    }  # fmt: skip
    output = {"device": "d2", "table": "holding", "type": "bit"}
    relays = {
        "raise_output": {**output, "register": 20, "bit": 0},
        "lower_output": {**output, "register": 20, "bit": 1},
        "hardware_pulse_limit_s": 20.0,
    }
    gates = {
        "g1": {**gate("g1", "d1"), "limits": limits, "interlocks": _interlocks("l1")},
        "g2": {**gate("g2", "d2", "relays", relays=relays), "limits": limits, "interlocks": _interlocks("l2")},
        "g3a": {**gate("g3a", "d3", "auma"), "limits": limits},
        "g3b": {**gate("g3b", "d4", "position"), "limits": limits},
    }
    pools = [
        pool("p1", outlet="g1", tail_levels=["l1"], drawdown={"per_hour_m": 0.3}),
        pool("p2", inlet="g1", outlet="g2", tail_levels=["l2"]),
        pool("p3", inlet="g2", outlet="g3", tail_levels=["l3"]),
    ]
    structures = [
        {"id": "g1", "gates": [gates["g1"]], "upstream_loop": loop, "capacity_m3s": 5.0},
        {"id": "g2", "gates": [gates["g2"]], "upstream_loop": loop, "capacity_m3s": 5.0},
        {"id": "g3", "gates": [gates["g3a"], gates["g3b"]], "upstream_loop": loop, "capacity_m3s": 5.0},
    ]
    return site(
        devices=[tcp_device(f"d{number}", unit=number) for number in range(1, 5)],
        points=[level_point(f"l{number}", f"d{number}", 30) for number in range(1, 4)],
        gates=list(gates.values()),
        pools=pools,
        structures=structures,
    )


def _interlocks(level: str) -> list[dict[str, object]]:
    return [
        {"name": "high_high", "points": [level], "side": "high", "trip": 2.7, "reset": 2.5, "action": "drive_to", "opening_pct": 80.0,
         "priority": 2, "flood": True, "latch": True},
        {"name": "low_low", "points": [level], "side": "low", "trip": 0.8, "reset": 1.0, "action": "inhibit_open", "priority": 1},
    ]  # fmt: skip


SITE = machine_site()
GATES = tuple(one.id for one in SITE.gates())
ARMED = GateModes(control=Control.AUTO, commissioning=Commissioning.COMMISSIONED)


@dataclass(frozen=True)
class Deed:
    """One scan's commands, with what was known when they were given."""

    at_s: float
    """True seconds, over all boots."""
    command: Command
    samples: Mapping[str, float | None]
    before: SiteState
    scanned: Scanned
    motion: Motion | None
    taken: bool


@dataclass
class Machine:
    """Scans, saves, dies and comes back."""

    plan: GatePlan | None = None
    memory: Memory = field(default_factory=lambda: Memory(SiteState(modes=dict.fromkeys(GATES, ARMED))))
    true_s: float = 1000.0
    """Time that passed in truth."""
    boot_s: float = 0.0
    """When this boot began."""
    wall_error_s: float = 0.0
    is_trusted: bool = True
    boots: int = 1
    disk: bytes | None = None
    deeds: list[Deed] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=list)
    positions: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GATES, 40.0))
    goals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GATES, 40.0))
    levels: dict[str, float] = field(default_factory=lambda: {"l1": 2.0, "l2": 1.9, "l3": 1.8})
    _kept: tuple[object, ...] = ()
    _saved_at_s: float = float("-inf")

    @property
    def now(self) -> Now:
        wall = START + timedelta(seconds=max(-1e7, min(1e8, self.true_s + self.wall_error_s)))
        return Now(self.true_s - self.boot_s, wall, self.is_trusted)

    def step(
        self,
        step_s: float = 1.0,
        garbled: Mapping[str, float | None] | None = None,
        asked: Sequence[Instruction] = (),
        *,
        refused: bool = False,
    ) -> Scanned:
        """One scan after `step_s`. `garbled`: what points and facts say instead of the truth; `refused`: no device takes a command."""
        self.true_s += step_s
        for name, goal in self.goals.items():
            reach = 100.0 / 60.0 * step_s
            self.positions[name] += max(-reach, min(reach, goal - self.positions[name]))
        said = self._truth() | dict(garbled or {})
        now = self.now
        samples = [Sample(point, value, now.monotonic_s) for point, value in said.items()]
        before = self.memory.state
        scanned = scan(SITE, self.memory, Given(now, samples, self.plan, asked))
        self.answers += scanned.answers
        outcomes = [WriteOutcome(one.gate, one, "refused" if refused else "") for one in scanned.decision.commands]
        for one in scanned.decision.commands:
            motion = scanned.decision.state.gates[one.gate].motion
            self.deeds.append(Deed(self.true_s, one, said, before, scanned, motion, not refused))
            if not refused:
                self._do(one)
        self.memory = after_writing(scanned.memory, outcomes, now)
        self._save()
        return scanned

    def die(self, *, down_s: float = 5.0, reboot: bool = False, clock_is_lost: bool = False, disk_is_lost: bool = False) -> None:
        """The process is gone, and a new one takes up what the disk has."""
        self.true_s += down_s
        if reboot:
            self.boots, self.boot_s, self.is_trusted = self.boots + 1, self.true_s - 10.0, not clock_is_lost
            self.wall_error_s = -self.true_s if clock_is_lost else 0.0
        if disk_is_lost:
            self.disk = None
        self.memory = Memory(restore(self.on_disk(), GATES, f"boot {self.boots}", self.now))
        self._kept, self._saved_at_s = (), float("-inf")

    def on_disk(self) -> SavedState | None:
        return _SAVED.validate_json(self.disk) if self.disk is not None else None

    def modes(self, name: str) -> GateModes:
        return self.memory.state.modes[name]

    def set_modes(self, name: str, **changes: object) -> None:
        """What people said of a gate before, without their saying it."""
        modes = {**self.memory.state.modes, name: replace(self.modes(name), **changes)}  # type: ignore[arg-type]
        self.memory = replace(self.memory, state=replace(self.memory.state, modes=modes))

    def _truth(self) -> dict[str, float | None]:
        found: dict[str, float | None] = dict(self.levels)
        for one in SITE.gates():
            found[one.actuator.position] = self.positions[one.id]
            found |= {f"{one.id}.{fact}": float(fact == "remote") for fact in facts_of(one)}
        return found

    def _do(self, command: Command) -> None:
        where = self.positions[command.gate]
        if isinstance(command, MoveTo):
            self.goals[command.gate] = command.opening_pct
        elif isinstance(command, Pulse):
            self.goals[command.gate] = max(0.0, min(100.0, where + command.direction * command.run_s / 60.0 * 100.0))
        else:
            self.goals[command.gate] = where

    def _save(self) -> None:
        """By the loop's rule: at once where something changed that must not be lost, else now and then."""
        durable, now = durable_part(self.memory.state), self.now
        if durable == self._kept and 0.0 <= now.monotonic_s - self._saved_at_s < SAVE_EVERY_S:
            return
        self._kept, self._saved_at_s = durable, now.monotonic_s
        self.disk = _SAVED.dump_json(saved_state(self.memory.state, f"boot {self.boots}", now))
