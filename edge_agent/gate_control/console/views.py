"""Modes and alarms of the site's state as `gate.sock` shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from edge_agent.gate_control.decide.alarms import Alarms, AlarmState, standing
from edge_agent.gate_control.decide.modes import Commissioning, GateModes, describe_tag
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_socket import AlarmView, GateReading


def with_modes(reading: GateReading, modes: GateModes, now: Now) -> GateReading:
    """The reading of a gate with its facts: selector, control, service, health, owner, tags, trip, motion by hand."""
    facts: Mapping[str, Any] = {
        "selector": modes.selector.value,
        "control": modes.control.value,
        "in_service": modes.in_service,
        "health": modes.health.value,
        "owner": modes.owner.value,
        "commissioned": modes.commissioning is Commissioning.COMMISSIONED,
        "trip": modes.trip,
        "tagout": ", ".join(describe_tag(tag) for tag in modes.tags),
        "manual_until_s": round(modes.motion.expires_at_s - now.monotonic_s, 1) if modes.motion is not None else None,
    }
    return reading.model_copy(update=facts)


def alarm_views(alarms: Alarms, now: Now) -> tuple[AlarmView, ...]:
    """The alarm table: what stands, the most urgent first."""
    return tuple(_view(key, alarm, now) for key, alarm in standing(alarms))


def _view(key: str, alarm: AlarmState, now: Now) -> AlarmView:
    place, _, name = key.partition("/")
    until = None
    if alarm.shelved_until_s is not None:
        until = now.wall + timedelta(seconds=alarm.shelved_until_s - now.monotonic_s)
    return AlarmView(
        key=key,
        gate=place,
        name=name,
        state=alarm.phase.value,
        priority=alarm.priority,
        reason=alarm.reason,
        raised_at=datetime.fromisoformat(alarm.raised_at) if alarm.raised_at else None,
        acknowledged_by=alarm.acknowledged_by,
        shelved_until=until,
        is_first=alarm.is_first,
    )
