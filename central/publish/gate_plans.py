"""Gate plans that have not reached their gate: delivered when the node is back, and again when a gate lost its plan."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

from central.model import GatePlanRecord, NodeReport, PlanDelivery
from central.publish.commands import DeliveryResult, deliver_plan
from central.publish.ports import BusSource
from central.store import gates, reports
from central.store.database import Database
from central.store.feed import ChangeFeed
from shared.clock import Clock
from shared.errors import MunbonError
from shared.observability import get_logger
from shared.signing.keys import Signer

_PERIOD_S = 10.0
_PAUSE_S = 1.0
_AGAIN_S = 60.0
_TIMEOUT_S = 10.0
_AT_ONCE = 16

_log = get_logger(__name__)


def plans_to_deliver(plans: Iterable[GatePlanRecord], said: Mapping[str, NodeReport]) -> tuple[GatePlanRecord, ...]:
    """Pending plans, and accepted ones that their gate no longer has. Pure.

    A gate lost its plan where a report that came after the delivery names a lower generation for the site.
    """
    return tuple(plan for plan in plans if plan.delivery is PlanDelivery.PENDING or _is_lost(plan, said.get(plan.node)))


def _is_lost(plan: GatePlanRecord, report: NodeReport | None) -> bool:
    if plan.delivery is not PlanDelivery.ACCEPTED or plan.delivered_at is None or report is None:
        return False
    site = report.status.site
    is_newer = report.received_at > plan.delivered_at
    return is_newer and site is not None and site.site == plan.site and site.reachable and site.plan_generation < plan.generation


class GatePlanLoop:
    """Central carries plans and cannot make one; the gate process has the last word."""

    def __init__(self, database: Database, feed: ChangeFeed, bus: BusSource, signer: Signer, clock: Clock) -> None:
        self._database = database
        self._feed = feed
        self._bus = bus
        self._signer = signer
        self._clock = clock
        self._tried_s: dict[tuple[str, int], float] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def deliver(self, plan: GatePlanRecord, timeout_s: float = _TIMEOUT_S) -> DeliveryResult:
        """One try, never two at a time for a site; the caller keeps what became of it. Never raises an error of the house."""
        async with self._locks[plan.site]:
            self._tried_s[plan.site, plan.generation] = self._clock.monotonic_s()
            return await deliver_plan(self._bus, self._signer, plan, clock=self._clock, timeout_s=timeout_s)

    async def run(self) -> None:
        """For ever."""
        with self._feed.subscribe({"gates", "nodes"}) as changes:
            while True:
                await self._guarded_pass()
                await self._clock.sleep(_PAUSE_S)
                await changes.next_changes(_PERIOD_S)

    async def deliver_due(self) -> int:
        """Try every plan that is due; how many were accepted or refused.

        Raises:
            StoreUnavailable: the database's word.
        """
        plans = await self._database.read(gates.list_plans)
        if not plans:
            return 0
        said = await self._database.read(reports.list_reports)
        due = [plan for plan in plans_to_deliver(plans, said) if self._is_due(plan)]
        settled = 0
        for start in range(0, len(due), _AT_ONCE):
            settled += sum(await asyncio.gather(*(self._deliver_one(plan) for plan in due[start : start + _AT_ONCE])))
        return settled

    def _is_due(self, plan: GatePlanRecord) -> bool:
        """A pending plan is tried at every pass (an offline node answers at once); a lost one now and then."""
        tried_s = self._tried_s.get((plan.site, plan.generation))
        return plan.delivery is PlanDelivery.PENDING or tried_s is None or self._clock.monotonic_s() - tried_s > _AGAIN_S

    async def _deliver_one(self, plan: GatePlanRecord) -> bool:
        outcome = await self.deliver(plan)
        if outcome.delivery is plan.delivery:
            return False
        now = self._clock.wall()
        changed = await self._database.run(
            lambda tx: gates.mark_delivery(
                tx, plan.site, plan.generation, outcome.delivery, code=outcome.code, reason=outcome.reason, at=now
            )
        )
        if changed:
            _log.info("gate plan", site=plan.site, generation=plan.generation, delivery=outcome.delivery, reason=outcome.reason)
            self._feed.publish("gates", plan.site)
        return outcome.delivery is not PlanDelivery.PENDING

    async def _guarded_pass(self) -> None:
        try:
            if self._bus.current is not None:
                await self.deliver_due()
        except MunbonError as error:
            _log.warning("gate plans were not delivered, will be tried again", error=str(error))
        except Exception:  # noqa: BLE001 - outermost guard of the loop
            _log.exception("gate plans were not delivered, will be tried again")
