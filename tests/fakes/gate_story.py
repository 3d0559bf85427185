"""A gate on changing water, scanned and journalled as the loop does it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from edge_agent.gate_control.decide.alarms import Raised
from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.journal.packing import pack, unpack
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import ACTUATOR_FACTS, Command, MoveTo, Now, Sample, WriteOutcome
from edge_agent.gate_control.replay.blocks import Block, BlockWriter, ScanInputs, read_block
from edge_agent.gate_control.replay.happenings import Base, Happened, base_data, happened_data
from edge_agent.gate_control.replay.quantise import Steps, quantise_now, quantise_samples
from edge_agent.gate_control.replay.redecide import command_lines
from edge_agent.gate_control.replay.step import Given, Memory, after_writing, scan
from shared.contracts.gate_plan import GateDirective, GatePlan, UpstreamLevelObjective
from tests.fakes.gate_site import START, gate, level_point, now_at, pool, site

PLAN = GatePlan(
    site="north", generation=1, valid_from=START, gates={"g1": GateDirective(objective=UpstreamLevelObjective(level_m=2.0))}
)  # fmt: skip
ARMED = Memory(SiteState(modes={"g1": GateModes(control=Control.AUTO, commissioning=Commissioning.COMMISSIONED)}))


def one_gate_site(kp_m2_per_s: float = 3.0) -> SiteConfiguration:
    loop = {"kp_m2_per_s": kp_m2_per_s, "ti_s": 600.0, "filter_s": 20.0, "control_period_s": 5.0}
    return site(
        points=[level_point("level", "d1", 10)],
        pools=[pool("p1", outlet="g1", tail_levels=["level"])],
        structures=[{"id": "g1", "gates": [gate("g1", "d1")], "upstream_loop": loop, "capacity_m3s": 8.0}],
    )


class Story:
    """A gate on changing water, journalled scan by scan."""

    def __init__(self, seed: int) -> None:
        self.site = one_gate_site()
        self.steps = Steps(self.site)
        self.random = random.Random(seed)
        self.memory = ARMED
        self.level_m, self.position_pct, self.goal_pct = 2.0, 30.0, 30.0
        self.writer = BlockWriter(self.steps, base_data(Base(self.memory, PLAN, {})))
        self.written: tuple[WriteOutcome, ...] = ()
        self.commands: list[Command] = []

    def scan(self, second: int, instructions: Sequence[Instruction] = (), conditions: dict[str, Raised] | None = None) -> None:
        now = quantise_now(now_at(100.0 + second + self.random.uniform(0, 0.02)))
        self.level_m += self.random.gauss(0.0, 0.004)
        self.position_pct += max(-1.6, min(1.6, self.goal_pct - self.position_pct))
        seen = [Sample("level", self.level_m, now.monotonic_s), Sample("g1-position", self.position_pct, now.monotonic_s)]
        seen += [Sample(f"g1.{fact}", float(fact == "remote"), now.monotonic_s) for fact in ACTUATOR_FACTS]
        self._decide(now, seen, instructions, conditions)

    def early(self, second: int, instructions: Sequence[Instruction] = ()) -> None:
        """Between this second's scan and the next: no device is asked."""
        self._decide(quantise_now(now_at(100.0 + second + self.random.uniform(0.03, 0.98))), [], instructions, None)

    def _decide(self, now: Now, seen: Sequence[Sample], instructions: Sequence[Instruction], conditions: dict[str, Raised] | None) -> None:
        samples = quantise_samples(self.steps, seen)
        scanned = scan(self.site, self.memory, Given(now, samples, PLAN, instructions, conditions or {}))
        happened = Happened(self.written, tuple(instructions), None, False, conditions, command_lines(scanned.decision.commands))
        self.writer.add(ScanInputs(now, samples, happened_data(happened)))
        self.written = tuple(
            WriteOutcome(command.gate, command, "no answer" if self.random.random() < 0.1 else "") for command in scanned.decision.commands
        )
        for outcome in self.written:
            if isinstance(outcome.command, MoveTo) and not outcome.error:
                self.goal_pct = outcome.command.opening_pct
        self.commands += scanned.decision.commands
        self.last = scanned
        self.memory = after_writing(scanned.memory, self.written, now)

    def block(self) -> Block:
        return read_block(self.steps, unpack(pack(self.writer.text())))
