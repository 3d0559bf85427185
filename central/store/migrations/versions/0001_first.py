"""The first schema."""

import sqlalchemy as sa
from alembic import op

from central.store import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", columns.UtcMoment(), nullable=False),
        sa.Column("actor", sa.String(length=253), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("details", columns.JsonText(), nullable=False),
        sa.Column("previous_digest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
        sa.UniqueConstraint("digest", name=op.f("uq_audit_digest")),
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", columns.UtcMoment(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_table(
        "desired_orders",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_desired_orders")),
    )
    op.create_table(
        "event_sequences",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("outboxid", sa.String(length=64), nullable=False),
        sa.Column("ranges", columns.JsonText(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("thinned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", "outboxid", name=op.f("pk_event_sequences")),
    )
    op.create_table(
        "events",
        sa.Column("cursor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("outboxid", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("received_at", columns.UtcMoment(), nullable=False),
        sa.Column("event", columns.JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("cursor", name=op.f("pk_events")),
        sa.UniqueConstraint("node", "event_id", name=op.f("uq_events_node_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_node_cursor"), "events", ["node", "cursor"], unique=False)
    op.create_index(op.f("ix_events_type_cursor"), "events", ["type", "cursor"], unique=False)
    op.create_table(
        "gate_plans",
        sa.Column("site", sa.String(length=63), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("plan", columns.JsonText(), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("set_at", columns.UtcMoment(), nullable=False),
        sa.Column("set_by", sa.String(length=253), nullable=False),
        sa.Column("delivery", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("delivered_at", columns.UtcMoment(), nullable=True),
        sa.PrimaryKeyConstraint("site", "generation", name=op.f("pk_gate_plans")),
    )
    op.create_table(
        "gate_samples",
        sa.Column("cursor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("site", sa.String(length=63), nullable=False),
        sa.Column("gate", sa.String(length=63), nullable=False),
        sa.Column("at", columns.UtcMoment(), nullable=False),
        sa.Column("level_m", sa.Float(), nullable=True),
        sa.Column("opening_pct", sa.Float(), nullable=True),
        sa.Column("flow_m3s", sa.Float(), nullable=True),
        sa.Column("quality", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("cursor", name=op.f("pk_gate_samples")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_gate_samples_at"), "gate_samples", ["at"], unique=False)
    op.create_index(op.f("ix_gate_samples_site_gate_at"), "gate_samples", ["site", "gate", "at"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "nodes",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("labels", columns.JsonText(), nullable=False),
        sa.Column("added_at", columns.UtcMoment(), nullable=False),
        sa.Column("added_by", sa.String(length=253), nullable=False),
        sa.Column("password_hash", sa.String(length=128), nullable=False),
        sa.Column("last_seen", columns.UtcMoment(), nullable=True),
        sa.Column("heartbeat_interval_s", sa.Float(), nullable=False),
        sa.Column("boot_id", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_nodes")),
    )
    op.create_table(
        "pauses",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("selector", sa.String(length=2000), nullable=False),
        sa.Column("paused_at", columns.UtcMoment(), nullable=False),
        sa.Column("paused_by", sa.String(length=253), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app", "selector", name=op.f("pk_pauses")),
    )
    op.create_table(
        "pins",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("desired", columns.JsonText(), nullable=True),
        sa.Column("pinned_at", columns.UtcMoment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "app", name=op.f("pk_pins")),
    )
    op.create_table(
        "quarantine",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received_at", columns.UtcMoment(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("subject", "body_digest", name=op.f("uq_quarantine_subject_body_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "release_verdicts",
        sa.Column("release_digest", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("first_at", columns.UtcMoment(), nullable=False),
        sa.PrimaryKeyConstraint("release_digest", "node", "good", name=op.f("pk_release_verdicts")),
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", columns.UtcMoment(), nullable=False),
        sa.Column("revoked_at", columns.UtcMoment(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tokens")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_tokens_token_digest")),
    )
    op.create_table(
        "desired",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("apps", columns.JsonText(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", columns.UtcMoment(), nullable=False),
        sa.Column("kv_revision", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["node"], ["nodes.node"], name=op.f("fk_desired_node"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_desired")),
    )
    op.create_table(
        "releases",
        sa.Column("release_digest", sa.String(length=64), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("envelope_digest", sa.String(length=64), nullable=False),
        sa.Column("envelope_size_bytes", sa.Integer(), nullable=False),
        sa.Column("blob_digest", sa.String(length=64), nullable=False),
        sa.Column("signed_by", columns.JsonText(), nullable=False),
        sa.Column("published_at", columns.UtcMoment(), nullable=False),
        sa.Column("published_by", sa.String(length=253), nullable=False),
        sa.Column("release", columns.JsonText(), nullable=False),
        sa.ForeignKeyConstraint(["blob_digest"], ["blobs.digest"], name=op.f("fk_releases_blob_digest")),
        sa.ForeignKeyConstraint(["envelope_digest"], ["blobs.digest"], name=op.f("fk_releases_envelope_digest")),
        sa.PrimaryKeyConstraint("release_digest", name=op.f("pk_releases")),
        sa.UniqueConstraint("app", "version", name=op.f("uq_releases_app_version")),
    )
    op.create_table(
        "reports",
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("status", columns.JsonText(), nullable=False),
        sa.Column("received_at", columns.UtcMoment(), nullable=False),
        sa.ForeignKeyConstraint(["node"], ["nodes.node"], name=op.f("fk_reports_node"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_reports")),
    )
    op.create_table(
        "assignments",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("selector", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("release_digest", sa.String(length=64), nullable=True),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("previous_version", sa.String(length=128), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("settings", columns.JsonText(), nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("move", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", columns.UtcMoment(), nullable=False),
        sa.Column("moved_by", sa.String(length=253), nullable=False),
        sa.ForeignKeyConstraint(["release_digest"], ["releases.release_digest"], name=op.f("fk_assignments_release_digest")),
        sa.PrimaryKeyConstraint("app", "selector", name=op.f("pk_assignments")),
        sa.UniqueConstraint("move", name=op.f("uq_assignments_move")),
    )
    op.create_table(
        "rollouts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("release_digest", sa.String(length=64), nullable=False),
        sa.Column("selector", sa.String(length=2000), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("settings", columns.JsonText(), nullable=False),
        sa.Column("started_at", columns.UtcMoment(), nullable=False),
        sa.Column("started_by", sa.String(length=253), nullable=False),
        sa.Column("previous_version", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("finished_at", columns.UtcMoment(), nullable=True),
        sa.Column("waves", columns.JsonText(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["release_digest"], ["releases.release_digest"], name=op.f("fk_rollouts_release_digest")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rollouts")),
        sa.UniqueConstraint("rollout_id", name=op.f("uq_rollouts_rollout_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_rollouts_app_number"), "rollouts", ["app", "number"], unique=False)
    op.create_index(op.f("ix_rollouts_phase"), "rollouts", ["phase"], unique=False)
    op.create_table(
        "rollout_nodes",
        sa.Column("rollout_id", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("cause", columns.JsonText(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("since", columns.UtcMoment(), nullable=True),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollouts.rollout_id"], name=op.f("fk_rollout_nodes_rollout_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rollout_id", "node", name=op.f("pk_rollout_nodes")),
    )


def downgrade() -> None:

    op.drop_table("rollout_nodes")
    op.drop_index(op.f("ix_rollouts_phase"), table_name="rollouts")
    op.drop_index(op.f("ix_rollouts_app_number"), table_name="rollouts")
    op.drop_table("rollouts")
    op.drop_table("assignments")
    op.drop_table("reports")
    op.drop_table("releases")
    op.drop_table("desired")
    op.drop_table("tokens")
    op.drop_table("release_verdicts")
    op.drop_table("quarantine")
    op.drop_table("pins")
    op.drop_table("pauses")
    op.drop_table("nodes")
    op.drop_table("meta")
    op.drop_index(op.f("ix_gate_samples_site_gate_at"), table_name="gate_samples")
    op.drop_index(op.f("ix_gate_samples_at"), table_name="gate_samples")
    op.drop_table("gate_samples")
    op.drop_table("gate_plans")
    op.drop_index(op.f("ix_events_type_cursor"), table_name="events")
    op.drop_index(op.f("ix_events_node_cursor"), table_name="events")
    op.drop_table("events")
    op.drop_table("event_sequences")
    op.drop_table("desired_orders")
    op.drop_table("blobs")
    op.drop_table("audit")
