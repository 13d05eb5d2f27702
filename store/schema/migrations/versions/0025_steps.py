"""The conditions that live runs wait for; where the address of a message to somebody else is found.

Revision ID: 0025
Revises: 0024
"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column."""
    op.execute("ALTER TABLE message ADD COLUMN recipient text NOT NULL DEFAULT ''")
    op.execute("""
        CREATE TABLE awaited_condition (
            enrollment_id uuid PRIMARY KEY REFERENCES enrollment (id),
            step text NOT NULL,
            occurrence integer NOT NULL,
            since timestamptz NOT NULL DEFAULT now(),
            met_at timestamptz
        )
    """)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
