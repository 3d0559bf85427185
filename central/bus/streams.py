"""The streams as JetStream's API takes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts import subjects

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class StreamLimits:
    """What the server may keep, and how often (`replicas`: 3 on a cluster)."""

    events_max_bytes: int = 4 * 1024**3
    artifacts_max_bytes: int = 8 * 1024**3
    desired_max_bytes: int = 1024**3
    replicas: int = 1
    duplicate_window_s: int = 300
    ack_wait_s: int = 30
    """After this time an event that was fetched and not acknowledged is sent again."""
    max_ack_pending: int = 4_096


def desired_stream(limits: StreamLimits) -> dict[str, Any]:
    """Key-value bucket DESIRED: newest document of each node; each put is told on `ds.<node>`, headers only."""
    return {
        "name": subjects.STREAM_DESIRED,
        "subjects": [subjects.DESIRED_KEYS_WILDCARD],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_bytes": limits.desired_max_bytes,
        "num_replicas": limits.replicas,
        "allow_direct": True,
        # a rollup header would let whoever may put one key purge the others
        "allow_rollup_hdrs": False,
        "deny_delete": True,
        "republish": {
            "src": subjects.DESIRED_KEYS_WILDCARD,
            "dest": subjects.DESIRED_NOTICE_WILDCARD,
            "headers_only": True,
        },
    }


def artifact_stream(limits: StreamLimits) -> dict[str, Any]:
    """Chunks of releases by digest. A full stream refuses the new and keeps the old, which nodes may still need."""
    return {
        "name": subjects.STREAM_ARTIFACTS,
        "subjects": [subjects.ARTIFACTS_WILDCARD],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_bytes": limits.artifacts_max_bytes,
        "num_replicas": limits.replicas,
        "allow_direct": True,
        "allow_rollup_hdrs": False,
        "deny_delete": True,
    }


def event_stream(limits: StreamLimits) -> dict[str, Any]:
    """Events on their way to the database; gone once acknowledged. A full stream pushes back to the nodes' outboxes."""
    return {
        "name": subjects.STREAM_EVENTS,
        "subjects": [subjects.EVENTS_WILDCARD],
        "retention": "workqueue",
        "storage": "file",
        "discard": "new",
        "max_bytes": limits.events_max_bytes,
        "num_replicas": limits.replicas,
        "duplicate_window": limits.duplicate_window_s * _SECOND_NS,
        "allow_direct": False,
        "allow_rollup_hdrs": False,
        "deny_delete": False,
    }


def ingest_consumer(limits: StreamLimits) -> dict[str, Any]:
    """The one consumer there is, and the only reader of events."""
    return {
        "durable_name": subjects.INGEST_CONSUMER,
        "name": subjects.INGEST_CONSUMER,
        "ack_policy": "explicit",
        "ack_wait": limits.ack_wait_s * _SECOND_NS,
        "deliver_policy": "all",
        "max_deliver": -1,
        "max_ack_pending": limits.max_ack_pending,
        "replay_policy": "instant",
        "num_replicas": limits.replicas,
    }


def differs(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether the server's configuration lacks something of what is wanted. What the server adds of its own does not count.

    A field that is false, zero or empty is left out by the server, so a missing one equals these.
    """
    return any((found.get(key) or None) != (value or None) for key, value in wanted.items())
