"""The names of alarms, and what is said about each. Pure. What needs no answer by a person is no alarm, but a status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Priority = Literal["low", "medium", "high", "urgent"]
PRIORITIES: tuple[Priority, ...] = ("low", "medium", "high", "urgent")
Subject = Literal["gate", "pool", "site"]


class AlarmName(StrEnum):
    """Names; an alarm's key is `<gate, pool or site>/<name>`, with `.<detail>` behind it where a subject can have several."""

    STUCK = "stuck"
    WRONG_WAY = "wrong_way"
    UNCOMMANDED = "uncommanded"
    JAMMED = "jammed"
    OVERTORQUE = "overtorque"
    ACTUATOR_SILENT = "actuator_silent"
    ACTUATOR_INHIBITED = "actuator_inhibited"
    COMMS_LOST_NOT_SET = "comms_lost_not_set"
    HEARTBEAT_LOST = "heartbeat_lost"
    PULSE_FAULT = "pulse_fault"
    POSITION_FAULT = "position_fault"
    OUTSIDE_TRAVEL = "outside_travel"
    STARTS_SPENT = "starts_spent"
    NOT_COMMISSIONED = "not_commissioned"
    STOPPED = "stopped"
    INTERLOCK_TRIPPED = "interlock_tripped"
    INTERLOCK_BLIND = "interlock_blind"
    FALLBACK_ACTIVE = "fallback_active"
    FLOW_NOT_CONTROLLED = "flow_not_controlled"
    SENSOR_STALE = "sensor_stale"
    SENSOR_DEGRADED = "sensor_degraded"
    SENSOR_OUT_OF_RANGE = "sensor_out_of_range"
    SENSOR_TOO_FAST = "sensor_too_fast"
    SENSOR_FROZEN = "sensor_frozen"
    SENSORS_DISAGREE = "sensors_disagree"
    LEVEL_HIGH = "level_high"
    LEVEL_LOW = "level_low"
    DRAWDOWN_LIMITED = "drawdown_limited"
    ORDER_MISSED = "order_missed"
    ORDER_ESTIMATED = "order_estimated"
    ORDER_SHORT = "order_short"
    SITE_LOST = "site_lost"
    MAINS_LOST = "mains_lost"
    BATTERY_LOW = "battery_low"
    DOOR_OPEN = "door_open"
    CLOCK_NOT_SET = "clock_not_set"
    SCAN_LATE = "scan_late"
    CRASH_LOOP = "crash_loop"
    NOT_SCANNING = "not_scanning"
    CONFIGURATION_UNSOUND = "configuration_unsound"
    STATE_LOST = "state_lost"
    PLAN_INVALID = "plan_invalid"
    LOCAL_PLAN_INVALID = "local_plan_invalid"
    PLAN_NOT_SAVED = "plan_not_saved"
    JOURNAL_NOT_WRITTEN = "journal_not_written"
    STATE_NOT_SAVED = "state_not_saved"
    COMMANDS_NOT_SAVED = "commands_not_saved"
    INTERLOCK_NOT_WRITTEN = "interlock_not_written"
    SOCKET_NOT_LISTENING = "socket_not_listening"
    MODBUS_MAP_NOT_LISTENING = "modbus_map_not_listening"


@dataclass(frozen=True)
class AlarmMeaning:
    """What a person needs to know, and how it is damped unless `site.yaml` says otherwise."""

    subject: Subject
    priority: Priority
    cause: str
    consequence: str
    action: str
    on_delay_s: float = 5.0
    """The condition must last this long before the alarm is raised."""
    off_delay_s: float = 5.0
    """It must be gone this long before the alarm returns."""


def name_of(key: str) -> AlarmName | None:
    """The name in a key, without subject and detail; None when there is no such alarm."""
    bare = key.partition("/")[2].partition(".")[0]
    return AlarmName(bare) if bare in _NAMES else None


_NAMES = frozenset(AlarmName)
