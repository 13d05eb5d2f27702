"""Drop the index of live runs, because it misled the planner; the index by contact finds them too.

Before a table has statistics, PostgreSQL assumes that one row in two hundred is live. It then took this index for the
shortest way to a single run, and each step of a run read all live runs.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the index; `enrollment_by_contact` replaces it."""
    op.execute("DROP INDEX enrollment_live")


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
