"""One scan as a function of what it was given: the same that control runs, so that it can be run again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.gate_control.decide.alarms import AlarmChange, Raised, rules_of
from edge_agent.gate_control.decide.instructions import Instruction, Outcome, carry_out_each
from edge_agent.gate_control.decide.modes import GateModes
from edge_agent.gate_control.decide.site import decide, record_outcomes
from edge_agent.gate_control.decide.state import Decision, SiteState
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now, PointHistory, Reading, Sample, ValidationContext, WriteOutcome
from edge_agent.gate_control.validate import validate_samples
from shared.contracts.gate_plan import GatePlan


@dataclass(frozen=True)
class Memory:
    """All that passes from scan to scan."""

    state: SiteState = field(default_factory=SiteState)
    histories: Mapping[str, PointHistory] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What one scan is given, beside its memory."""

    now: Now
    samples: Sequence[Sample]
    plan: GatePlan | None = None
    instructions: Sequence[Instruction] = ()
    conditions: Mapping[str, Raised] = field(default_factory=dict)
    """What is amiss outside of control (disk, plans), by alarm key."""


@dataclass(frozen=True)
class Scanned:
    """What came of one scan, before its commands are written."""

    memory: Memory
    readings: Mapping[str, Reading]
    decision: Decision
    answers: tuple[Outcome, ...]
    """To the instructions, in their order."""
    asked_changes: tuple[AlarmChange, ...]
    """Of alarms, by the instructions."""


def scan(site: SiteConfiguration, memory: Memory, given: Given) -> Scanned:
    """Instructions first, then what the devices say, then what is done about it."""
    state, changes, answers = _obey(site, memory.state, given.instructions, given.now)
    openings = {name: gate.position_pct for name, gate in state.gates.items()}
    context = ValidationContext(state.flows_m3s, openings)
    histories, readings = validate_samples(site, memory.histories, given.samples, given.now, context)
    decision = decide(state, readings, given.plan, site, given.now, given.conditions)
    return Scanned(Memory(decision.state, histories), readings, decision, answers, changes)


def after_writing(memory: Memory, outcomes: Sequence[WriteOutcome], now: Now) -> Memory:
    """The memory once it is known what became of the commands."""
    return replace(memory, state=record_outcomes(memory.state, outcomes, now)) if outcomes else memory


def _obey(
    site: SiteConfiguration, state: SiteState, instructions: Sequence[Instruction], now: Now
) -> tuple[SiteState, tuple[AlarmChange, ...], tuple[Outcome, ...]]:
    if not instructions:
        return state, (), ()
    state = replace(state, modes={gate.id: state.modes.get(gate.id, GateModes()) for gate in site.gates()})
    return carry_out_each(state, instructions, rules_of(site.alarms), now)
