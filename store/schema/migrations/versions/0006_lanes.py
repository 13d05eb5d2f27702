"""An index for reading the outbox lane by lane: signals to live runs, starts, rows of imports and batches.

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
    """Replace the index; it holds only undelivered rows."""
    op.execute(INDEX)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
