"""NATS subjects, stream and bucket names. A node id is one token, so it can hold neither dots nor wildcards."""

from __future__ import annotations

import re

from shared.contracts.base import NODE_PATTERN
from shared.errors import UsageError

STREAM_EVENTS = "EVT"
STREAM_ARTIFACTS = "ART"
BUCKET_DESIRED = "DESIRED"
STREAM_DESIRED = "KV_DESIRED"
INGEST_CONSUMER = "ingest"

EVENTS_WILDCARD = "evt.>"
HEARTBEATS_WILDCARD = "hb.*"
ARTIFACTS_WILDCARD = "art.>"
DESIRED_KEYS_WILDCARD = "$KV.DESIRED.>"
DESIRED_NOTICE_WILDCARD = "ds.>"

_TOKEN = re.compile(NODE_PATTERN)
_KIND = re.compile(r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,3}$")


def check_node_id(node: str) -> str:
    """The id itself.

    Raises:
        UsageError: it does not match `^[a-z0-9-]{1,63}$`.
    """
    # fullmatch, for `$` also matches before a final newline
    if not _TOKEN.fullmatch(node):
        raise UsageError(
            f"node name {node!r} is not allowed",
            subject="node",
            remedy="use 1 to 63 of a-z, 0-9 and '-', for example pi-north",
        )
    return node


def desired_notice(node: str) -> str:
    """Where the server republishes a hint that the node's desired state changed."""
    return f"ds.{check_node_id(node)}"


def desired_key(node: str) -> str:
    """Subject under which the DESIRED bucket keeps the node's document."""
    return f"$KV.{BUCKET_DESIRED}.{check_node_id(node)}"


def event(node: str, kind: str) -> str:
    """Where a node sends events of one kind."""
    if not _KIND.fullmatch(kind):
        raise UsageError(f"event kind {kind!r} is not allowed", subject=node)
    return f"evt.{check_node_id(node)}.{kind}"


def heartbeat(node: str) -> str:
    """Where a node sends its heartbeat."""
    return f"hb.{check_node_id(node)}"


def command(node: str, verb: str) -> str:
    """Where a node takes one verb, for example `gate.plan.set`."""
    if not _KIND.fullmatch(verb):
        raise UsageError(f"command verb {verb!r} is not allowed", subject=node)
    return f"cmd.{check_node_id(node)}.{verb}"


def commands(node: str) -> str:
    """All verbs of a node."""
    return f"cmd.{check_node_id(node)}.>"


def artifact_chunk(digest: str, index: int) -> str:
    """Chunk `index` (from 0) of the artifact with this SHA-256."""
    return f"art.{digest}.{index}"


def inbox_prefix(node: str) -> str:
    """Reply inboxes of a node, so that no node can read another's replies."""
    return f"_INBOX_{check_node_id(node)}"


def node_of(subject: str) -> str | None:
    """Node id in `evt.<node>...`, `hb.<node>`, `ds.<node>` or `cmd.<node>...`; None where there is no valid one.

    The sender's identity comes from the subject, which the server checks, never from the payload.
    """
    parts = subject.split(".")
    if len(parts) < 2 or parts[0] not in ("evt", "hb", "ds", "cmd") or not _TOKEN.fullmatch(parts[1]):
        return None
    return parts[1]
