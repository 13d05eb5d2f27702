"""What the provider reports of a message changes its row in place, in none of its indexes.

A row is changed in place only where no index, nor the condition of a partial one, names a column that changes. Each
`accepted` and `delivered` was entered anew into the eight that every message is in, and left its former entries to be
vacuumed.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE message ADD COLUMN bad boolean
    GENERATED ALWAYS AS (coalesce(delivery IN ('bounced', 'complained', 'failed'), false)) STORED;
DROP INDEX message_bad;
CREATE INDEX message_bad ON message (channel, claimed_at) WHERE bad;
"""


def upgrade() -> None:
    """Tell the bad ones apart, and index those; the table is written anew."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
