"""Tables of central's database. A change here needs a migration: a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from central.store.columns import JsonText, Serial, UtcMoment

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_DIGEST, _NAME, _NODE, _SELECTOR = String(64), String(253), String(63), String(2_000)

meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

nodes = Table(
    "nodes",
    metadata,
    Column("node", _NODE, primary_key=True),
    Column("labels", JsonText, nullable=False),
    Column("added_at", UtcMoment, nullable=False),
    Column("added_by", _NAME, nullable=False),
    Column("password_hash", String(128), nullable=False),
    Column("last_seen", UtcMoment),
    Column("heartbeat_interval_s", Float, nullable=False),
    Column("boot_id", String(128), nullable=False),
    Column("outbox_rows", Integer),
)

reports = Table(
    "reports",
    metadata,
    Column("node", _NODE, ForeignKey("nodes.node", ondelete="CASCADE"), primary_key=True),
    Column("status", JsonText, nullable=False),
    Column("received_at", UtcMoment, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("stored_at", UtcMoment, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("release_digest", _DIGEST, primary_key=True),
    Column("app", _NODE, nullable=False),
    Column("version", String(128), nullable=False),
    Column("content_digest", _DIGEST, nullable=False),
    Column("envelope_digest", _DIGEST, ForeignKey("blobs.digest"), nullable=False),
    Column("envelope_size_bytes", Integer, nullable=False),
    Column("blob_digest", _DIGEST, ForeignKey("blobs.digest"), nullable=False),
    Column("signed_by", JsonText, nullable=False),
    Column("published_at", UtcMoment, nullable=False),
    Column("published_by", _NAME, nullable=False),
    Column("release", JsonText, nullable=False),
    Unique("app", "version"),
)

release_verdicts = Table(
    "release_verdicts",
    metadata,
    Column("release_digest", _DIGEST, primary_key=True),
    Column("node", _NODE, primary_key=True),
    Column("good", Boolean, primary_key=True),
    Column("app", _NODE, nullable=False),
    Column("first_at", UtcMoment, nullable=False),
)

assignments = Table(
    "assignments",
    metadata,
    Column("app", _NODE, primary_key=True),
    Column("selector", _SELECTOR, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("release_digest", _DIGEST, ForeignKey("releases.release_digest")),
    Column("version", String(128), nullable=False),
    Column("previous_version", String(128), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("rollout_id", String(64), nullable=False),
    Column("move", BigInteger, nullable=False, unique=True),
    Column("moved_at", UtcMoment, nullable=False),
    Column("moved_by", _NAME, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("app", _NODE, primary_key=True),
    Column("selector", _SELECTOR, primary_key=True),
    Column("paused_at", UtcMoment, nullable=False),
    Column("paused_by", _NAME, nullable=False),
    Column("reason", Text, nullable=False),
)

# no foreign key to nodes: after a restore a node may be known by its pins before it is added again
pins = Table(
    "pins",
    metadata,
    Column("node", _NODE, primary_key=True),
    Column("app", _NODE, primary_key=True),
    Column("desired", JsonText),
    Column("pinned_at", UtcMoment, nullable=False),
    Column("reason", Text, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("rollout_id", String(64), nullable=False, unique=True),
    Column("app", _NODE, nullable=False),
    Column("version", String(128), nullable=False),
    Column("release_digest", _DIGEST, ForeignKey("releases.release_digest"), nullable=False),
    Column("selector", _SELECTOR, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("started_by", _NAME, nullable=False),
    Column("previous_version", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("finished_at", UtcMoment),
    Column("waves", JsonText, nullable=False),
    Column("wave", Integer, nullable=False),
    Index(None, "app", "number"),
    Index(None, "phase"),
    sqlite_autoincrement=True,
)

rollout_nodes = Table(
    "rollout_nodes",
    metadata,
    Column("rollout_id", String(64), ForeignKey("rollouts.rollout_id", ondelete="CASCADE"), primary_key=True),
    Column("node", _NODE, primary_key=True),
    Column("outcome", String(16), nullable=False),
    Column("phase", String(32), nullable=False),
    Column("reachable", Boolean, nullable=False),
    Column("version", String(128), nullable=False),
    Column("cause", JsonText),
    Column("message", Text, nullable=False),
    Column("since", UtcMoment),
)

desired = Table(
    "desired",
    metadata,
    Column("node", _NODE, ForeignKey("nodes.node", ondelete="CASCADE"), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("apps", JsonText, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("issued_at", UtcMoment, nullable=False),
    Column("kv_revision", BigInteger),
)

# the highest order ever issued outlives the node: a node added again under its old name must not be told less
desired_orders = Table(
    "desired_orders",
    metadata,
    Column("node", _NODE, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("cursor", Serial, primary_key=True, autoincrement=True),
    Column("node", _NODE, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("outboxid", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String(128), nullable=False),
    Column("received_at", UtcMoment, nullable=False),
    Column("event", JsonText, nullable=False),
    Unique("node", "event_id"),
    Index(None, "node", "cursor"),
    Index(None, "type", "cursor"),
    sqlite_autoincrement=True,
)

event_sequences = Table(
    "event_sequences",
    metadata,
    Column("node", _NODE, primary_key=True),
    Column("outboxid", String(64), primary_key=True),
    Column("ranges", JsonText, nullable=False),
    Column("highest", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("thinned", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False),
    Column("body_digest", _DIGEST, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_at", UtcMoment, nullable=False),
    Unique("subject", "body_digest"),
    sqlite_autoincrement=True,
)

gate_plans = Table(
    "gate_plans",
    metadata,
    Column("site", _NODE, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("node", _NODE, nullable=False),
    Column("plan", JsonText, nullable=False),
    Column("plan_digest", _DIGEST, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("set_at", UtcMoment, nullable=False),
    Column("set_by", _NAME, nullable=False),
    Column("delivery", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("delivered_at", UtcMoment),
)

gate_samples = Table(
    "gate_samples",
    metadata,
    Column("cursor", Serial, primary_key=True, autoincrement=True),
    Column("node", _NODE, nullable=False),
    Column("site", _NODE, nullable=False),
    Column("gate", _NODE, nullable=False),
    Column("at", UtcMoment, nullable=False),
    Column("level_m", Float),
    Column("opening_pct", Float),
    Column("flow_m3s", Float),
    Column("quality", String(64), nullable=False),
    Index(None, "site", "gate", "at"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", UtcMoment, nullable=False),
    Column("actor", _NAME, nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("previous_digest", _DIGEST, nullable=False),
    Column("digest", _DIGEST, nullable=False, unique=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("token_digest", _DIGEST, nullable=False, unique=True),
    Column("created_at", UtcMoment, nullable=False),
    Column("revoked_at", UtcMoment),
)
