"""Commands: ask a node now, answer now. Signed, for one node, for a short time; what must happen is desired state instead."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from central.model import GatePlanRecord, PlanDelivery
from central.publish.ports import BusSource
from shared.clock import Clock
from shared.contracts import subjects
from shared.contracts.codec import decode
from shared.contracts.command import VERB_GATE_PLAN_SET, Command, CommandReply
from shared.errors import Malformed, MunbonError
from shared.messaging.errors import BusNoResponder, BusUnavailable
from shared.signing.dsse import sign_document
from shared.signing.keys import Signer

_GRACE_S = 30.0
"""A command outlives its caller's patience by this much, for clocks that differ."""
TRY_AGAIN_CODES = frozenset({"GateUnreachable", "Expired", "Unavailable", "Busy"})
"""Refusals that say nothing about the plan: it stays pending."""


async def send_command(
    bus: BusSource, signer: Signer, node: str, verb: str, payload: Mapping[str, Any], *, actor: str, timeout_s: float, clock: Clock
) -> CommandReply:
    """Send one command and wait for its answer. A repeat is a new command.

    Raises:
        BusNoResponder: the node is offline.
        BusUnavailable: no answer in time, or no bus.
        Malformed: the answer is none to this command.
    """
    session = bus.current
    if session is None:
        raise BusUnavailable(f"no session on the bus: {bus.problem}", subject=node)
    now = clock.wall()
    command = Command(
        kind="Command",
        command_id=secrets.token_hex(16),
        node=node,
        verb=verb,
        issued_at=now,
        expires_at=now + timedelta(seconds=timeout_s + _GRACE_S),
        actor=actor,
        payload=dict(payload),
    )
    raw = await session.request(subjects.command(node, verb), sign_document(command, [signer]), timeout_s)
    reply = decode(raw, CommandReply, subject=f"answer of {node}")
    # another node may be able to answer in its place, but does not know the id
    if reply.command_id != command.command_id or reply.node != node:
        raise Malformed("is an answer to another command", subject=f"answer of {node}")
    return reply


@dataclass(frozen=True)
class DeliveryResult:
    """What became of one try to deliver a plan."""

    delivery: PlanDelivery
    code: str = ""
    reason: str = ""


async def deliver_plan(bus: BusSource, signer: Signer, plan: GatePlanRecord, *, clock: Clock, timeout_s: float = 10.0) -> DeliveryResult:
    """One try. A node that is offline, or whose gate process is, leaves the plan pending. Never raises an error of the house."""
    payload = {"envelope": json.loads(plan.envelope)}
    try:
        reply = await send_command(bus, signer, plan.node, VERB_GATE_PLAN_SET, payload, actor=plan.set_by, timeout_s=timeout_s, clock=clock)
    except BusNoResponder:
        return DeliveryResult(PlanDelivery.PENDING, "NodeOffline", f"{plan.node} is offline; it is delivered when it is back")
    except MunbonError as error:
        return DeliveryResult(PlanDelivery.PENDING, "NoAnswer", str(error))
    if reply.accepted:
        return DeliveryResult(PlanDelivery.ACCEPTED)
    if reply.code in TRY_AGAIN_CODES:
        return DeliveryResult(PlanDelivery.PENDING, reply.code, reply.reason)
    return DeliveryResult(PlanDelivery.REFUSED, reply.code, reply.reason)
