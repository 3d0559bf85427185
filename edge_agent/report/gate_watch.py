"""The gate process at a glance, asked every few seconds, for the node's status."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.report.gate_guard import GateGuard
from edge_agent.report.ports import JournalGate
from shared.clock import Clock
from shared.contracts.gate_socket import AlarmView, GateStatus
from shared.contracts.status import MAX_ALARMS, GateSummary, SiteSummary
from shared.errors import MunbonError
from shared.observability import get_logger

PERIOD_S = 2.0
REPEAT_S = 30.0
"""Levels that merely move are told so often; anything else at once."""

_log = get_logger(__name__)


class GateWatch:
    """Keeps `site` fresh and calls `on_change` when it is worth telling. `guard` raises what the gate process cannot."""

    def __init__(
        self, gate: JournalGate, clock: Clock, on_change: Callable[[], None], guard: GateGuard, *, repeat_s: float = REPEAT_S
    ) -> None:
        self._gate = gate
        self._guard = guard
        self._table: tuple[AlarmView, ...] = ()
        self._clock = clock
        self._on_change = on_change
        self._repeat_s = repeat_s
        self._told_s: float | None = None
        self.site = _unseen(guard)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - outermost guard of the loop
                _log.exception("the gate could not be looked at")
            await self._clock.sleep(min(PERIOD_S, self._repeat_s))

    @property
    def problem(self) -> str:
        """What is wrong with the gate process; empty where nothing is."""
        return self._guard.problem

    async def look(self) -> None:
        """Ask once. A gate process that does not answer is told as not reachable."""
        before = self.site
        status: GateStatus | None = None
        try:
            status = await self._gate.status()
            self.site, self._table = summarise(status), status.alarm_table
        except MunbonError:
            self.site = before.model_copy(update={"reachable": False})
        self._guard.note(status)
        self.site = self.site.model_copy(update={"alarms": (*self._guard.views(), *self._table)[:MAX_ALARMS]})
        now_s = self._clock.monotonic_s()
        if _essence(before) != _essence(self.site) or self._told_s is None or now_s - self._told_s >= self._repeat_s:
            self._told_s = now_s
            self._on_change()


def _unseen(guard: GateGuard) -> SiteSummary:
    """Until the gate process answers: its gates by name, and nothing known of them."""
    if not guard.site:
        return SiteSummary()
    unknown = {gate: GateSummary(quality="bad") for gate in guard.gates}
    return SiteSummary(site=guard.site, gates=unknown, alarms=guard.views()[:MAX_ALARMS])


def summarise(status: GateStatus) -> SiteSummary:
    """The site as central shows it, without its alarm table."""
    gates = {
        gate: GateSummary(
            level_m=reading.level_m,
            opening_pct=reading.opening_pct,
            flow_m3s=reading.flow_m3s,
            setpoint=reading.target,
            mode=reading.mode,
            quality=reading.quality,
            alarms=reading.alarms,
            control=reading.control,
            owner=reading.owner,
            in_service=reading.in_service,
            trip=reading.trip,
            tagout=reading.tagout,
            sampled_at=status.scanned_at,
        )
        for gate, reading in status.gates.items()
    }
    return SiteSummary(
        site=status.site,
        reachable=True,
        plan_generation=status.plan_generation,
        local_plan=status.local_plan,
        hold=status.hold,
        hold_reasons=status.hold_reasons,
        gates=gates,
    )


def _essence(site: SiteSummary) -> object:
    """What is worth telling at once: everything but figures that move all the time, and reasons made of them."""
    gates = {
        gate: (found.mode, found.quality, found.alarms, found.setpoint, found.owner, found.in_service, found.trip, found.tagout)
        for gate, found in site.gates.items()
    }
    alarms = tuple((alarm.key, alarm.state) for alarm in site.alarms)
    return site.site, site.reachable, site.plan_generation, site.local_plan, site.hold, gates, alarms
