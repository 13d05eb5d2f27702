"""Accept a contact's text message once, even if the provider repeats its callback.

Its event prevents repeats only if a contact has the number. A STOP from another number, or the START that ends it, left
no record to compare a repeated callback with.

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
    """Add the table."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
