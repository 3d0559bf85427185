"""The alarms that the agent raises for a gate process that cannot: each once, kept until a person has seen it, over restarts too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edge_agent.decide.agent_alarms import AgentAlarm, Changed, Phase, acknowledge, step
from edge_agent.decide.gate_life import PRIORITY, GateLife, Look, alarms, observe
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.base import format_utc
from shared.contracts.event import EventType
from shared.contracts.gate_socket import AlarmView, GateStatus
from shared.errors import Retryable
from shared.observability import get_logger

CURSOR, SITE = "gate_guard", "gate_site"
SUBJECT = "site"

_log = get_logger(__name__)


class GateGuard:
    """Told of each look at the gate process. What stands is kept with the events that tell of it, in one transaction."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._life = GateLife(clock.monotonic_s())
        self._alarms: Mapping[str, AgentAlarm] = _load(store)
        self.site, self.gates = _load_site(store)
        """As the gate process named them last; empty where it never answered on this node."""

    def note(self, status: GateStatus | None) -> None:
        """One look; None: no answer. What the disk does not take is tried again at the next look."""
        now_s = self._clock.monotonic_s()
        look = Look(status.scan, status.scan_period_s) if status is not None else None
        self._life = observe(self._life, look, now_s)
        standing = [name for name, alarm in self._alarms.items() if alarm.is_on]
        raised = alarms(self._life, now_s, answers=look is not None, standing=standing)
        changed = step(self._alarms, raised, format_utc(self._clock.wall()))
        try:
            if status is not None and (status.site, sorted(status.gates)) != (self.site, self.gates):
                self._keep_site(status.site, sorted(status.gates))
            if changed.came or changed.went:
                self._tell(changed)
            self._alarms = changed.alarms
        except Retryable as error:
            _log.warning("what is known of the gate process could not be noted", reason=str(error))

    def views(self) -> tuple[AlarmView, ...]:
        """Rows of the alarm table."""
        return tuple(
            AlarmView.model_validate(
                {
                    "key": f"{SUBJECT}/{name}",
                    "gate": SUBJECT,
                    "name": name,
                    "state": alarm.phase.value,
                    "priority": PRIORITY,
                    "reason": alarm.reason,
                    "raised_at": alarm.since,
                    "acknowledged_by": alarm.by,
                }
            )
            for name, alarm in sorted(self._alarms.items())
        )

    @property
    def problem(self) -> str:
        """For the node's messages; empty where all is well."""
        return "; ".join(alarm.reason for _, alarm in sorted(self._alarms.items()) if alarm.is_on)

    def meant(self, alarm: str) -> tuple[str, ...]:
        """Keys of the agent's alarms that a person means by a name or a key; empty text means all."""
        name = alarm.removeprefix(f"{SUBJECT}/")
        return tuple(f"{SUBJECT}/{each}" for each in sorted(self._alarms) if not alarm or each == name)

    def acknowledge(self, key: str, by: str, command_id: str) -> bool:
        """A person has seen it; False where it was acknowledged before.

        Raises:
            DiskFull, StoreUnavailable: it stands as before.
        """
        name = key.removeprefix(f"{SUBJECT}/")
        after = acknowledge(self._alarms, name, by)
        if after is self._alarms:
            return False
        data = {
            "site": self.site,
            "gate": "",
            "at": format_utc(self._clock.wall()),
            "id": command_id,
            "verb": "ack",
            "alarm": name,
            "by": by,
        }
        with self._store.transaction():
            self._store.outbox.add(EventType.GATE_COMMAND_ACCEPTED, {**data, "from": "central"}, subject=self.site or SUBJECT)
            self._save(after)
        self._alarms = after
        return True

    def _tell(self, changed: Changed) -> None:
        with self._store.transaction():
            for names, kind in ((changed.came, EventType.GATE_ALARM_RAISED), (changed.went, EventType.GATE_ALARM_RETURNED)):
                for name in names:
                    found = changed.alarms.get(name) or self._alarms[name]
                    self._store.outbox.add(kind, self._data(name, found), subject=self.site or SUBJECT)
            self._save(changed.alarms)
        for name in changed.came:
            _log.error("alarm", alarm=name, reason=changed.alarms[name].reason)

    def _keep_site(self, site: str, gates: list[str]) -> None:
        """An agent that is started beside a dead gate process is to know whose it is."""
        self._store.set_cursor(SITE, json.dumps([site, gates]), 0)
        self.site, self.gates = site, gates

    def _save(self, found: Mapping[str, AgentAlarm]) -> None:
        self._store.set_cursor(CURSOR, json.dumps({name: asdict(alarm) for name, alarm in found.items()}), 0)

    def _data(self, name: str, alarm: AgentAlarm) -> dict[str, Any]:
        at = format_utc(self._clock.wall())
        return {"site": self.site, "gate": "", "at": at, "alarm": name, "reason": alarm.reason, "priority": PRIORITY, "by": "agent"}


def _load(store: StateStore) -> Mapping[str, AgentAlarm]:
    """What stood before; the agent before this one kept no more than a time for each."""
    try:
        found = json.loads(store.cursor(CURSOR)[0] or "{}")
        return {str(name): _alarm(kept) for name, kept in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _load_site(store: StateStore) -> tuple[str, list[str]]:
    try:
        site, gates = json.loads(store.cursor(SITE)[0] or '["", []]')
        return str(site), [str(gate) for gate in gates]
    except (ValueError, TypeError):
        return "", []


def _alarm(kept: Any) -> AgentAlarm:
    if isinstance(kept, str):
        return AgentAlarm(kept)
    return AgentAlarm(str(kept["since"]), Phase(kept["phase"]), str(kept["reason"]), str(kept["by"]))
