"""What segments have to be evaluated again for all contacts, because something other than a contact has changed.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE segment_revisit (
    cause text PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    position text NOT NULL DEFAULT ''
);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
