"""What a node's heartbeat says of its outbox: newer than its last status."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("outbox_rows", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("nodes", "outbox_rows")
