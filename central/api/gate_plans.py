"""A gate plan's way through central: verify, record, ask the node, keep its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from central.api import queries
from central.api.dependencies import ApiDependencies
from central.model import GatePlanRecord
from central.store import gates, operations
from shared.contracts.envelope import Role
from shared.contracts.gate_plan import GatePlan
from shared.errors import UsageError
from shared.signing.digests import canonical_json
from shared.signing.dsse import verify_document

DELIVERY_TIMEOUT_S = 10.0
CARRIED_FEATURES = frozenset({"orders"})
"""Critical features that central carries; whether the gate process knows them is its word."""


async def record_plan(dependencies: ApiDependencies, site: str, envelope: dict[str, Any], *, actor: str) -> GatePlanRecord:
    """Verify a plan and keep it as pending.

    Raises:
        ContractError: malformed, or not signed by a key of role `gate_plan`.
        UsageError: it is for another site.
        NotFound: no node speaks for the site.
        Conflict: its generation is not above the newest one.
    """
    verified = verify_document(
        canonical_json(envelope), GatePlan, dependencies.trust_root, Role.GATE_PLAN, features=CARRIED_FEATURES, subject="gate plan"
    )
    plan, now = verified.document, dependencies.clock.wall()
    if plan.site != site:
        raise UsageError(f"is for site {plan.site!r}, not {site!r}", subject="gate plan", remedy="send it to its own site")
    node = await dependencies.database.read(lambda tx: queries.node_of_site(tx, site))
    record = GatePlanRecord(
        site=site, node=node, plan=plan, plan_digest=verified.digest, envelope=verified.envelope, set_at=now, set_by=actor
    )
    return await dependencies.database.run(lambda tx: operations.set_gate_plan(tx, record, actor=actor, at=now))


async def deliver_plan(dependencies: ApiDependencies, record: GatePlanRecord) -> GatePlanRecord:
    """Ask the node now; where it cannot answer the plan stays pending, and is sent when the node is back."""
    outcome = await dependencies.courier.deliver(record, DELIVERY_TIMEOUT_S)
    now = dependencies.clock.wall()
    await dependencies.database.run(
        lambda tx: gates.mark_delivery(
            tx, record.site, record.generation, outcome.delivery, code=outcome.code, reason=outcome.reason, at=now
        )
    )
    # only now: the loop that sends pending plans would else send this one at the same time
    dependencies.feed.publish("gates", record.site)
    return replace(record, delivery=outcome.delivery, code=outcome.code, reason=outcome.reason)
