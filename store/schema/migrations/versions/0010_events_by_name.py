"""What a contact did of one kind is found by an index: an `unless` asks for it, of messages and of entries.

The index by contact and time made it read all that the contact ever did.

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
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
