"""Database to bus: what each node should run, signed, artifacts first. Also puts back whatever the bus lost."""

from __future__ import annotations

from collections.abc import Mapping

from central.model import IssuedDesired, Order
from central.publish.artifacts import ArtifactShelf, release_refs
from central.publish.issuing import Issuance, issue_all
from central.publish.plan import Held, plan_deletes, plan_puts
from central.publish.ports import BusSource, PublishBus
from central.store import desired
from central.store.database import Database
from central.store.feed import ChangeFeed, Subscription
from shared.clock import Clock
from shared.contracts.desired import AppDesired, Desired
from shared.contracts.envelope import Role, TrustRoot
from shared.errors import ContractError, MunbonError
from shared.messaging.errors import BusNoResponder
from shared.messaging.session import DesiredEntry
from shared.observability import get_logger
from shared.signing.dsse import verify_document
from shared.signing.keys import Signer

RECONCILE_PERIOD_S = 60.0
_RETRY_S = 1.0
_LONG_RETRY_S = 5.0
_SLICE_S = 2.0
_QUIET_TOPICS = frozenset({"nodes"})
_QUIET_WAIT_S = 1.0

Said = dict[str, tuple[Order, Mapping[str, AppDesired]]]

_log = get_logger(__name__)


class DesiredLoop:
    """Level-triggered: each pass composes all nodes again and writes what differs; a killed central just does it once more."""

    def __init__(self, database: Database, feed: ChangeFeed, bus: BusSource, signer: Signer, trust: TrustRoot, clock: Clock) -> None:
        self._database = database
        self._feed = feed
        self._bus = bus
        self._signer = signer
        self._trust = trust
        self._clock = clock
        self._shelf = ArtifactShelf(database)
        self._compared: tuple[int, int] | None = None
        self._compared_s = 0.0
        self._in_bucket: frozenset[str] = frozenset()
        self._checked: dict[str, tuple[int, Held, Mapping[str, AppDesired]]] = {}
        self._behind: set[str] = set()
        self.problem = "not yet compared with the bus"
        """Why nodes may not have what they should, or empty."""

    def request_republish(self, node: str) -> None:
        """A node lags behind what was issued to it: it is told again."""
        self._behind.add(node)
        self._feed.publish("nodes", node)

    async def run(self) -> None:
        """Publish whenever something changed, and compare everything now and then; for ever."""
        with self._feed.subscribe({"assignments", "rollouts", "nodes"}) as changes:
            while True:
                await self._wait(changes, await self._guarded_pass())

    async def publish_once(self, bus: PublishBus) -> Issuance:
        """One pass: issue what is new, put what is not on the bus.

        Raises:
            BusUnavailable, BusRefused: some of it is not there; a repeat is safe.
            StoreUnavailable: the database's word.
        """
        now_s = self._clock.monotonic_s()
        incarnation = self._bus.incarnation
        is_full = incarnation != self._compared or now_s - self._compared_s >= RECONCILE_PERIOD_S
        held, said = await self._read_bucket(bus) if is_full else (None, None)
        if held is not None:
            self._in_bucket = frozenset(node for node, item in held.items() if item.order is not None)
            self._shelf.forget()
        in_bucket, now = self._in_bucket, self._clock.wall()
        found = await self._database.run(lambda tx: issue_all(tx, self._signer, said, in_bucket, now))
        for node in plan_deletes(held or in_bucket, found.nodes, found.ever_issued, restored=found.is_restored):
            await bus.delete_desired(node)
            self._in_bucket -= {node}
        await self._put(bus, found, held)
        await self._notify(bus, found)
        self._compared = incarnation
        self._compared_s = now_s if is_full else self._compared_s
        return found

    # ------------------------------------------------------------------------------------------------------ inside

    async def _guarded_pass(self) -> float:
        """One pass with the errors it may have; gives how long the next may wait."""
        self.problem = ""
        try:
            await self.publish_once(await self._bus.session())
        except BusNoResponder as error:
            # a stream is gone: made anew it is empty, and the next pass fills it
            self.problem = str(error)
            return await self._remake_streams()
        except MunbonError as error:
            self.problem = str(error)
            _log.warning("publishing failed, will be tried again", error=str(error))
            return _RETRY_S
        except Exception as error:  # noqa: BLE001 - outermost guard of the loop
            self.problem = f"{type(error).__name__}: {error}"
            _log.exception("publishing failed unexpectedly, will be tried again")
            return _LONG_RETRY_S
        return _LONG_RETRY_S if self.problem else RECONCILE_PERIOD_S

    async def _remake_streams(self) -> float:
        try:
            await self._bus.ensure_streams()
        except MunbonError as error:
            _log.warning("streams are missing and cannot be made", error=str(error))
            return _RETRY_S
        self._compared = None
        return 0.1

    async def _wait(self, changes: Subscription, wait_s: float) -> None:
        """Until an operator acts, the bus was opened anew, a node reported (a second after it), or `wait_s` is over."""
        end_s = self._clock.monotonic_s() + wait_s
        has_quiet = False
        while (left_s := end_s - self._clock.monotonic_s()) > 0 and not self._behind:
            found = await changes.next_changes(min(left_s, _SLICE_S))
            if any(change.topic not in _QUIET_TOPICS for change in found):
                return
            if found and not has_quiet:
                # reports come many a second and rarely matter here
                has_quiet = True
                end_s = min(end_s, self._clock.monotonic_s() + _QUIET_WAIT_S)
            if self._compared is not None and self._bus.incarnation != self._compared:
                return

    async def _read_bucket(self, bus: PublishBus) -> tuple[dict[str, Held], Said]:
        entries = await bus.get_desired_keys()
        self._checked = {node: self._check_entry(node, entry) for node, entry in entries.items()}
        held = {node: item for node, (_, item, _) in self._checked.items()}
        said: Said = {node: (item.order, apps) for node, (_, item, apps) in self._checked.items() if item.order is not None}
        return held, said

    def _check_entry(self, node: str, entry: DesiredEntry) -> tuple[int, Held, Mapping[str, AppDesired]]:
        known = self._checked.get(node)
        if known is not None and known[0] == entry.revision and known[1].body == entry.body:
            return known
        try:
            document = verify_document(entry.body, Desired, self._trust, Role.DESIRED).document
            if document.node == node:
                return entry.revision, Held(entry.body, document.order), document.apps
            reason = f"names node {document.node}"
        except ContractError as error:
            reason = str(error)
        _log.warning("the bus holds a Desired that is not ours; it will be replaced", node=node, reason=reason)
        return entry.revision, Held(entry.body, None), {}

    async def _put(self, bus: PublishBus, found: Issuance, held: Mapping[str, Held] | None) -> None:
        nodes = plan_puts(found.issued, held, found.silent)
        # a full comparison also looks after artifacts of documents that are there already
        documents = found.issued.values() if held is not None else [found.issued[node] for node in nodes]
        missing = await self._shelf.stock(bus, documents)
        bodies = {node: found.issued[node].envelope for node in nodes if not _names_any(found.issued[node], missing)}
        if missing:
            self.problem = "; ".join(str(error) for error in missing.values())
        if not bodies:
            return
        outcomes = await bus.put_many_desired(bodies)
        revisions = {node: outcome for node, outcome in outcomes.items() if isinstance(outcome, int)}
        await self._database.run(lambda tx: desired.mark_put(tx, found.issued.values(), revisions))
        self._in_bucket |= revisions.keys()
        _log.info("desired published", nodes=len(revisions), failed=len(outcomes) - len(revisions))
        for node in revisions:
            self._behind.discard(node)
            self._feed.publish("nodes", node)
        for outcome in outcomes.values():
            if not isinstance(outcome, int):
                raise outcome

    async def _notify(self, bus: PublishBus, found: Issuance) -> None:
        behind, self._behind = self._behind, set()
        for node in sorted(behind & found.nodes - found.silent):
            await bus.notify_desired(node)


def _names_any(document: IssuedDesired, releases: Mapping[str, object]) -> bool:
    return any(ref.release_digest in releases for ref in release_refs(document))
