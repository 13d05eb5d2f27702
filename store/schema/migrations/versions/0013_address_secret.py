"""Which secret the hashes of addresses are made with: none until `perennial migrate` is called with one.

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
    """Make room for what tells one secret from another."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
