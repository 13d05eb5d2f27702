"""Lists of messages by template: of one track, and of those that were skipped.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE message_content ADD COLUMN track text;
UPDATE message_content c SET track = m.track FROM message m WHERE m.id = c.message_id;
ALTER TABLE message_content ALTER COLUMN track SET NOT NULL;
DROP INDEX message_content_by_template;
CREATE INDEX message_content_by_template ON message_content (template, template_version, track, message_id);
CREATE INDEX message_skipped_late ON message (id)
    WHERE status = 'skipped' AND (attempts > 1 OR settled_at IS DISTINCT FROM claimed_at);
"""


def upgrade() -> None:
    """Fill the column and build the indexes; no message can be sent in the meantime."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
