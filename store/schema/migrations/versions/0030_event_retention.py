"""Events of the future, and until when events were deleted.

Revision ID: 0030
Revises: 0026
"""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables. The table `event` stays as it is."""
    op.execute("""
        CREATE TABLE future_event (
            event_id text PRIMARY KEY,
            contact_id text NOT NULL,
            name text NOT NULL,
            properties jsonb NOT NULL DEFAULT '{}'::jsonb,
            occurred_at timestamptz NOT NULL,
            received_at timestamptz NOT NULL DEFAULT now(),
            due_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX future_event_due ON future_event (due_at, event_id)")
    op.execute("CREATE INDEX future_event_by_contact ON future_event (contact_id)")
    op.execute("""
        CREATE TABLE deleted_events (
            name text PRIMARY KEY,
            before timestamptz NOT NULL,
            count bigint NOT NULL DEFAULT 0
        )
    """)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
