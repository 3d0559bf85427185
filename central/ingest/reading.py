"""Bytes to events and statuses. Pure: a message is readable or it is not, and that never changes."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.codec import decode, parse_json_object, validate
from shared.contracts.event import Event
from shared.contracts.status import NodeStatus
from shared.contracts.subjects import node_of
from shared.errors import ContractError, Malformed

_EVENT_SUBJECT = "evt."
_STATUS_KIND = NodeStatus.KIND


@dataclass(frozen=True)
class Unreadable:
    """Goes to quarantine; `reason` names what was wrong."""

    reason: str


def read_message(subject: str, body: bytes) -> tuple[str, Event] | NodeStatus | Unreadable:
    """What a message of the event stream says.

    The server holds the subject against the login, and nothing else: the sender is who the subject names, and a body
    that names another is not believed.
    """
    node = node_of(subject)
    if node is None or not subject.startswith(_EVENT_SUBJECT):
        return Unreadable(f"subject {subject!r} names no node")
    try:
        content = parse_json_object(body, subject="message", max_bytes=max(Event.MAX_BYTES, NodeStatus.MAX_BYTES))
        if content.get("kind") == _STATUS_KIND and "specversion" not in content:
            status = decode(body, NodeStatus)
            return status if status.node == node else Unreadable(f"{node} sent the status of {status.node!r}")
        if len(body) > Event.MAX_BYTES:
            return Unreadable(f"has {len(body)} bytes, the limit is {Event.MAX_BYTES}")
        event = validate(content, Event, subject="event")
    except ContractError as error:
        return Unreadable(f"{error.code}: {error}")
    return (node, event) if event.source == node else Unreadable(f"{node} sent an event of {event.source!r}")


def check_sender(subject: str, node: str) -> None:
    """Refuse a document that names another node than its subject.

    Raises:
        Malformed: it does.
    """
    if node_of(subject) != node:
        raise Malformed(f"subject {subject!r} and node {node!r} differ", subject="message")
