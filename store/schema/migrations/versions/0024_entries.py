"""Tracks that are entered in several ways, and which of them began a run.

Revision ID: 0024
Revises: 0023
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

FILL = """
INSERT INTO entry_rule (track, position, event, also_goal)
    SELECT name, 0, entry_event, coalesce(v.data -> 'goal' ->> 'event' = entry_event, false)
    FROM track t JOIN track_version v ON v.track = t.name AND v.version = t.latest
    WHERE entry_event IS NOT NULL
"""
UPGRADE = """
CREATE TABLE entry_rule (
    track text NOT NULL REFERENCES track (name),
    position integer NOT NULL,
    event text NOT NULL,
    date text,
    also_goal boolean NOT NULL DEFAULT false,
    PRIMARY KEY (track, position)
);
CREATE INDEX entry_rule_by_event ON entry_rule (event, track);
ALTER TABLE enrollment ADD COLUMN entry text;
"""


def upgrade() -> None:
    """Add the table, filled from what is published, and the column, which rewrites nothing."""
    op.execute(UPGRADE)
    op.execute(FILL)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
