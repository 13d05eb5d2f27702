"""Messages that waited for a run that has ended say so: they were left `released` or `deferred` for ever.

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
    """Settle them."""
    op.execute(SETTLE)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
