"""A contact's live runs are found among all of theirs: an index of live runs alone misled the planner.

Before a table has statistics, a two-hundredth of it is reckoned to be live. The index was taken for a short way to any
one run, and every step of a run went through all live ones.

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
    """Drop the index; `enrollment_by_contact` serves."""
    op.execute("DROP INDEX enrollment_live")


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
