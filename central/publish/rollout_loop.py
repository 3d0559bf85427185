"""Moves running rollouts on whenever something happened, and each second while one runs."""

from __future__ import annotations

from central.store import rollouts
from central.store.database import Database
from central.store.feed import ChangeFeed
from shared.clock import Clock
from shared.contracts.api import RolloutPhase
from shared.errors import MunbonError
from shared.observability import get_logger

_BUSY_PERIOD_S = 1.0
_IDLE_PERIOD_S = 30.0
_GATHER_S = 0.05

_log = get_logger(__name__)


class RolloutLoop:
    """Order of calls only: what a rollout does next is decided in `central.rollout`."""

    def __init__(self, database: Database, feed: ChangeFeed, clock: Clock) -> None:
        self._database = database
        self._feed = feed
        self._clock = clock

    async def run(self) -> None:
        """For ever."""
        with self._feed.subscribe({"rollouts", "nodes", "events", "assignments"}) as changes:
            while True:
                wait_s = await self._guarded_step()
                await changes.next_changes(wait_s)
                # a burst of reports is one step
                await self._clock.sleep(_GATHER_S)

    async def step(self) -> bool:
        """Move every running rollout on; True while one runs.

        Raises:
            StoreUnavailable: the database's word; a repeat is safe.
        """
        if not await self._database.read(rollouts.has_running):
            return False
        now = self._clock.wall()
        changed = await self._database.run(lambda tx: rollouts.advance_running(tx, now))
        for rollout in changed:
            self._feed.publish("rollouts", rollout.rollout_id)
            if rollout.phase is not RolloutPhase.RUNNING:
                _log.info("rollout finished", rollout=rollout.rollout_id, app=rollout.app, version=rollout.version, phase=rollout.phase)
        return True

    async def _guarded_step(self) -> float:
        try:
            return _BUSY_PERIOD_S if await self.step() else _IDLE_PERIOD_S
        except MunbonError as error:
            _log.warning("rollouts did not move, will be tried again", error=str(error))
        except Exception:  # noqa: BLE001 - outermost guard of the loop
            _log.exception("rollouts did not move, will be tried again")
        return _BUSY_PERIOD_S
