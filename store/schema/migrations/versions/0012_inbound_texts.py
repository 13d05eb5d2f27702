"""A text message that a contact sent is heard once, whoever repeats the call that told of it.

Its event says that only where a contact has the number: a STOP from anybody else, or the START that takes it back, left
nothing behind that a second one could be compared with.

Revision ID: 0012
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE inbound_text (
    provider_id text PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """A new table; nothing else changes."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
