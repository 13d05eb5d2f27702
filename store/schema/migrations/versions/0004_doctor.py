"""The results of the doctor's last check, and why a delivery waits.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE checkup (
    id INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    counts JSONB DEFAULT '{}'::jsonb NOT NULL,
    PRIMARY KEY (id)
);
ALTER TABLE outbox ADD COLUMN reason TEXT DEFAULT '' NOT NULL;
"""


def upgrade() -> None:
    """Add the table and the column."""
    op.execute(TABLES)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
