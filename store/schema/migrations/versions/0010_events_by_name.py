"""An index by contact and event name, for the `unless` of messages and entries.

With the index by contact and time, such a search read all events of the contact.

Revision ID: 0010
Revises: 0013
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0013"
branch_labels = None
depends_on = None

UPGRADE = """
DROP INDEX event_by_contact;
CREATE INDEX event_by_contact ON event (contact_id, name, received_at);
"""


def upgrade() -> None:
    """Put the event's name into the index by contact."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
