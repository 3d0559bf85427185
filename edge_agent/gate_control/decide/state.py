"""What a site's decisions carry from scan to scan, and what comes of one scan. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.gate_control.decide.alarms import AlarmChange, AlarmState
from edge_agent.gate_control.decide.drawdown import LevelHistory
from edge_agent.gate_control.decide.modes import GateModes
from edge_agent.gate_control.decide.orders import OrdersState
from edge_agent.gate_control.decide.starts import StartHistory
from edge_agent.gate_control.model.values import Command, ControllerState, GateState


@dataclass(frozen=True)
class SiteState:
    """All of a site. What is missing is as new: an empty state observes, and moves nothing until gates are armed."""

    gates: Mapping[str, GateState] = field(default_factory=dict)
    modes: Mapping[str, GateModes] = field(default_factory=dict)
    starts: Mapping[str, StartHistory] = field(default_factory=dict)
    controllers: Mapping[str, ControllerState] = field(default_factory=dict)
    """By structure; under `<structure>/fallback` that of the loop that stands in."""
    flows_m3s: Mapping[str, float | None] = field(default_factory=dict)
    """Actual flow of each structure in the last scan."""
    flow_doubts: Mapping[str, str] = field(default_factory=dict)
    """By structure: why nobody else should act on its flow; those that can be trusted are left out."""
    levels: Mapping[str, LevelHistory] = field(default_factory=dict)
    """By pool, for the drawdown limit."""
    orders: OrdersState = field(default_factory=OrdersState)
    alarms: Mapping[str, AlarmState] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """Something for the journal that is neither command nor alarm."""

    what: str
    subject: str
    text: str


@dataclass(frozen=True)
class Decision:
    """What came of one scan."""

    state: SiteState
    commands: tuple[Command, ...]
    reasons: Mapping[str, tuple[str, ...]]
    """By gate: why it moves, or why not."""
    alarm_changes: tuple[AlarmChange, ...] = ()
    notes: tuple[Note, ...] = ()
