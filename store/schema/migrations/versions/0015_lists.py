"""The content of each message, and the indexes for lists of contacts, events and messages.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE message_content (
    message_id uuid PRIMARY KEY REFERENCES message (id),
    template text NOT NULL,
    template_version integer NOT NULL,
    locale text,
    blocks jsonb NOT NULL DEFAULT '{}',
    subject_digest text,
    rendering jsonb,
    kept_until timestamptz
);
CREATE INDEX message_content_by_template ON message_content (template, template_version, message_id);
CREATE INDEX message_content_kept ON message_content (kept_until) WHERE kept_until IS NOT NULL;
CREATE INDEX message_listed ON message (track, step, channel, status, id);
CREATE INDEX message_bad_listed ON message (id) WHERE bad;
CREATE INDEX event_by_name ON event (name, received_at, event_id);
CREATE INDEX contact_listed ON contact (id COLLATE "C");
CREATE INDEX contact_by_attributes ON contact USING gin (attributes jsonb_path_ops);
"""


def upgrade() -> None:
    """Add the table and the indexes; no writes to the indexed tables are possible in the meantime."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
