"""The node's Desired: verified, never older than the one before, saved before anything acts on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.desired import Desired
from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.event import EventType
from shared.errors import ContractError, Expired, Malformed, OutOfOrder
from shared.observability import get_logger
from shared.signing.digests import sha256_hex
from shared.signing.dsse import verify_document

DESIRED_FEATURES: frozenset[str] = frozenset()

_log = get_logger(__name__)


@dataclass(frozen=True)
class Receipt:
    """What became of a document: `accepted`, `known` (this very one is in force) or `refused`."""

    outcome: str
    code: str = ""
    reason: str = ""


class Inbox:
    """Takes Desired documents in."""

    def __init__(self, store: StateStore, trust: TrustRoot, node: str, clock: Clock, on_accepted: Callable[[], None]) -> None:
        self._store = store
        self._trust = trust
        self._node = node
        self._clock = clock
        self._on_accepted = on_accepted
        self.refusal: Receipt | None = None
        """Why the newest document that was seen is not in force."""

    def take(self, envelope: bytes) -> Receipt:
        """Accept a document, or refuse it; a refusal is reported once. The same one again changes nothing.

        Raises:
            DiskFull, StoreUnavailable: it could not be saved; the one before stays in force.
        """
        if self._store.desired.holds(envelope):
            self.refusal = None
            return Receipt("known")
        try:
            desired = self._check(envelope)
        except ContractError as error:
            return self._refuse(envelope, error)
        apps = {app: wanted.state.value for app, wanted in desired.apps.items()}
        with self._store.transaction():
            self._store.desired.save(envelope)
            # one document may be the work of several rollouts, so it names the rollout of each app
            rollouts = {app: wanted.rollout_id for app, wanted in desired.apps.items() if wanted.rollout_id}
            data = {"epoch": desired.epoch, "generation": desired.generation, "apps": apps, "rollouts": rollouts}
            self._store.outbox.add(EventType.DESIRED_ACCEPTED, data)
        self.refusal = None
        _log.info("desired accepted", epoch=desired.epoch, generation=desired.generation, apps=sorted(apps))
        self._on_accepted()
        return Receipt("accepted")

    def _check(self, envelope: bytes) -> Desired:
        desired = verify_document(envelope, Desired, self._trust, Role.DESIRED, features=DESIRED_FEATURES).document
        if desired.node != self._node:
            raise Malformed(f"is for node {desired.node!r}, this is {self._node!r}", subject="Desired")
        if desired.order <= self._store.desired.order:
            raise OutOfOrder(f"order {desired.order} is not newer than {self._store.desired.order}, which is in force", subject="Desired")
        # only now: a node whose clock is wrong, or that was cut off, lives on by what it accepted
        if desired.expires_at is not None and self._clock.is_synchronised() and self._clock.wall() > desired.expires_at:
            raise Expired(f"was good until {desired.expires_at.isoformat()}", subject="Desired")
        return desired

    def _refuse(self, envelope: bytes, error: ContractError) -> Receipt:
        digest = sha256_hex(envelope)
        receipt = Receipt("refused", error.code, str(error))
        with self._store.transaction():
            if self._store.refusals.add(digest, "Desired", error.code, str(error)):
                data = {"code": error.code, "reason": str(error), "digest": digest}
                self._store.outbox.add(EventType.DESIRED_REFUSED, data)
                _log.warning("desired refused", code=error.code, reason=str(error))
        self.refusal = receipt
        return receipt
