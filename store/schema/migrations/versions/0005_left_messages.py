"""Settle messages of ended runs that were left `released` or `deferred`.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SETTLE = """
    UPDATE message m SET status = 'skipped', settled_at = e.ended_at, due_at = NULL, reason = CASE
        WHEN e.goal_reached_at IS NOT NULL THEN 'goal' WHEN e.exit_reached_at IS NOT NULL THEN 'exit' ELSE 'ended' END
    FROM enrollment e
    WHERE e.id = m.enrollment_id AND e.ended_at IS NOT NULL AND m.status IN ('released', 'deferred')
"""


def upgrade() -> None:
    """Settle these messages."""
    op.execute(SETTLE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
