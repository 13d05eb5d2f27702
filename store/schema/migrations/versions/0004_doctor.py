"""What the doctor found last, and why a delivery waits.

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
    """Add them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
