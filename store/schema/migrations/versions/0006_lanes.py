"""What waits in the outbox is read lane after lane: what live runs are told, starts, what imports and batches caused.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEX = """
DROP INDEX outbox_waiting;
CREATE INDEX outbox_waiting ON outbox (bulk, (kind = 'start'), id) WHERE delivered_at IS NULL;
"""


def upgrade() -> None:
    """Replace the index; only rows that wait are in it."""
    op.execute(INDEX)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
