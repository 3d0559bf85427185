"""A journal decided again: the same code commands the same, another setting shows where it differs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.alarms import Raised
from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Place, Role
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.journal.packing import pack, unpack
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import ACTUATOR_FACTS, Command, MoveTo, Sample, WriteOutcome
from edge_agent.gate_control.replay.blocks import Block, BlockWriter, ScanInputs, read_block
from edge_agent.gate_control.replay.happenings import Base, Happened, base_data, happened_data
from edge_agent.gate_control.replay.quantise import Steps, quantise_now, quantise_samples
from edge_agent.gate_control.replay.redecide import Shadow, command_lines, redecide, shadow_scan
from edge_agent.gate_control.replay.step import Given, Memory, after_writing, scan
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GateDirective, GatePlan, UpstreamLevelObjective
from tests.fakes.gate_site import START, gate, level_point, now_at, pool, site

PLAN = GatePlan(
    site="north", generation=1, valid_from=START, gates={"g1": GateDirective(objective=UpstreamLevelObjective(level_m=2.0))}
)  # fmt: skip
ARMED = Memory(SiteState(modes={"g1": GateModes(control=Control.AUTO, commissioning=Commissioning.COMMISSIONED)}))
STOP = Instruction("i1", GateAction(gate="g1", verb=GateVerb.STOP), "ana", Role.OPERATOR, Place.CONSOLE)


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
        self.given: list[tuple[Given, tuple[Command, ...]]] = []

    def scan(self, second: int, instructions: Sequence[Instruction] = (), conditions: dict[str, Raised] | None = None) -> None:
        now = quantise_now(now_at(100.0 + second + self.random.uniform(0, 0.02)))
        self.level_m += self.random.gauss(0.0, 0.004)
        self.position_pct += max(-1.6, min(1.6, self.goal_pct - self.position_pct))
        seen = [Sample("level", self.level_m, now.monotonic_s), Sample("g1-position", self.position_pct, now.monotonic_s)]
        seen += [Sample(f"g1.{fact}", float(fact == "remote"), now.monotonic_s) for fact in ACTUATOR_FACTS]
        samples = quantise_samples(self.steps, seen)
        given_ = Given(now, samples, PLAN, instructions, conditions or {})
        scanned = scan(self.site, self.memory, given_)
        happened = Happened(self.written, tuple(instructions), None, False, conditions, command_lines(scanned.decision.commands))
        self.writer.add(ScanInputs(now, samples, happened_data(happened)))
        self.given.append((given_, scanned.decision.commands))
        self.written = tuple(
            WriteOutcome(command.gate, command, "no answer" if self.random.random() < 0.1 else "") for command in scanned.decision.commands
        )
        for outcome in self.written:
            if isinstance(outcome.command, MoveTo) and not outcome.error:
                self.goal_pct = outcome.command.opening_pct
        self.commands += scanned.decision.commands
        self.memory = after_writing(scanned.memory, self.written, now)

    def block(self) -> Block:
        return read_block(self.steps, unpack(pack(self.writer.content())))


@settings(max_examples=15, deadline=None)
@given(st.integers(min_value=0, max_value=10_000))
def test_the_same_code_commands_the_same_from_the_journal(seed: int) -> None:
    story = Story(seed)
    for second in range(150):
        story.scan(second, [STOP] if second == 120 else ())

    again = list(redecide(story.site, story.block()))

    assert len(again) == 150
    assert all(one.is_same for one in again)
    assert again[-1].scanned.decision.state.modes == story.memory.state.modes


def moving_story() -> Story:
    story = Story(7)
    for second in range(300):
        story.scan(second)
    assert len(story.commands) >= 3
    return story


def test_another_gain_shows_where_it_would_have_moved_otherwise() -> None:
    story = moving_story()

    different = [one for one in redecide(one_gate_site(kp_m2_per_s=9.0), story.block()) if not one.is_same]

    assert different
    assert any(line.startswith("g1 move") for one in different for line in one.today)


def test_every_scan_says_again_why_the_gate_moved_or_did_not() -> None:
    story = moving_story()

    reasons = [one.scanned.decision.reasons["g1"] for one in redecide(story.site, story.block())]

    assert all(reasons)
    assert any("deadband" in " ".join(each) for each in reasons)


def test_a_state_that_this_version_does_not_know_is_refused_and_not_guessed() -> None:
    story = moving_story()
    block = story.block()
    base: dict[str, Any] = {**block.base, "memory": {"state": {"gates": 5}}}

    with pytest.raises(ValueError, match="gates"):
        list(redecide(story.site, replace(block, base=base)))


def test_a_shadow_with_the_same_settings_never_differs_and_one_with_others_says_how() -> None:
    story = moving_story()
    same, other = Shadow(story.site, ARMED), Shadow(one_gate_site(kp_m2_per_s=9.0), ARMED)
    for one, commands in story.given:
        same, other = shadow_scan(same, one, commands), shadow_scan(other, one, commands)

    assert same.scans == other.scans == 300
    assert other.differences > 0
    assert "shadow g1 move" in other.last_difference or "control g1 move" in other.last_difference
