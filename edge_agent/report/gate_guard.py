"""The alarms that the agent raises for a gate process that cannot: each once, also over restarts of the agent."""

from __future__ import annotations

import json
from typing import Any

from edge_agent.decide.gate_life import PRIORITY, GateLife, Look, alarms, observe
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.base import format_utc
from shared.contracts.event import EventType
from shared.contracts.gate_socket import AlarmView, GateStatus
from shared.errors import Retryable
from shared.observability import get_logger

CURSOR = "gate_guard"
SUBJECT = "site"

_log = get_logger(__name__)


class GateGuard:
    """Told of each look at the gate process. What stands is kept with the events that tell of it, in one transaction."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._life = GateLife(clock.monotonic_s())
        self._standing: dict[str, str] = _load(store)
        """Alarm names, and since when."""
        self._reasons: dict[str, str] = {}

    def note(self, site: str, status: GateStatus | None) -> None:
        """One look; None: no answer. An event that the disk does not take is tried again at the next look."""
        now_s = self._clock.monotonic_s()
        look = Look(status.scan, status.scan_period_s) if status is not None else None
        self._life = observe(self._life, look, now_s)
        self._reasons = dict(alarms(self._life, now_s, answers=look is not None, standing=self._standing))
        if self._reasons.keys() == self._standing.keys():
            return
        try:
            self._tell(site)
        except Retryable as error:
            _log.warning("an alarm of the gate process could not be noted", reason=str(error))

    def views(self) -> tuple[AlarmView, ...]:
        """Rows of the alarm table."""
        return tuple(
            AlarmView.model_validate(
                {
                    "key": f"{SUBJECT}/{name}",
                    "name": name,
                    "state": "unacknowledged",
                    "priority": PRIORITY,
                    "reason": self._reasons.get(name, ""),
                    "raised_at": since,
                }
            )
            for name, since in sorted(self._standing.items())
        )

    @property
    def problem(self) -> str:
        """For the node's messages; empty where all is well."""
        return "; ".join(self._reasons[name] for name in sorted(self._reasons))

    def _tell(self, site: str) -> None:
        at = format_utc(self._clock.wall())
        standing = {name: self._standing.get(name, at) for name in self._reasons}
        with self._store.transaction():
            for name in sorted(standing.keys() ^ self._standing.keys()):
                kind = EventType.GATE_ALARM_RAISED if name in standing else EventType.GATE_ALARM_RETURNED
                self._store.outbox.add(kind, self._data(site, name, at), subject=site or SUBJECT)
            self._store.set_cursor(CURSOR, json.dumps(standing), 0)
        for name in standing.keys() - self._standing.keys():
            _log.error("alarm", alarm=name, reason=self._reasons[name])
        self._standing = standing

    def _data(self, site: str, name: str, at: str) -> dict[str, Any]:
        reason = self._reasons.get(name, "")
        return {"site": site, "gate": "", "at": at, "alarm": name, "reason": reason, "priority": PRIORITY, "by": "agent"}


def _load(store: StateStore) -> dict[str, str]:
    try:
        found = json.loads(store.cursor(CURSOR)[0] or "{}")
    except ValueError:
        return {}
    return {str(name): str(since) for name, since in found.items()} if isinstance(found, dict) else {}
