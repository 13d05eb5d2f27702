"""What sales says too late, the CRM's tasks after an answer, mail to salespeople, and explored leads.

Revision ID: 0028
Revises: 0026
"""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0026"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE handoff
    ADD COLUMN late_answers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN task_update_at timestamptz,
    ADD COLUMN task_update_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN task_fault text NOT NULL DEFAULT '',
    ADD COLUMN mail_at timestamptz,
    ADD COLUMN mail_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN explored boolean NOT NULL DEFAULT false;
CREATE INDEX handoff_mail ON handoff (mail_at) WHERE mail_at IS NOT NULL;
CREATE INDEX handoff_task_update ON handoff (task_update_at) WHERE task_update_at IS NOT NULL;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
