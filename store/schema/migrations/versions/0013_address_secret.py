"""Which secret the hashes of addresses are made with: none until `perennial migrate` is called with a secret.

Revision ID: 0013
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE address_secret (
    sole BOOLEAN NOT NULL PRIMARY KEY DEFAULT true CHECK (sole),
    fingerprint TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Add the table for the secret's fingerprint."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
