"""Let a provider's report update a message's row in place, without updating its indexes.

PostgreSQL updates a row in place only if no index, nor the condition of a partial index, uses a changed column. Each
`accepted` and `delivered` was written anew into the eight indexes that hold every message, and left dead entries for
vacuum.

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
    """Add the generated column `bad` and index it; PostgreSQL rewrites the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
