"""Segments and their members; the index of a contact's events by the time when they happened.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE segment (
    name text PRIMARY KEY,
    latest integer NOT NULL,
    live integer
);
CREATE TABLE segment_version (
    segment text NOT NULL REFERENCES segment (name),
    version integer NOT NULL,
    source text NOT NULL,
    data jsonb NOT NULL DEFAULT '{}',
    digest text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    existing text NOT NULL DEFAULT 'ignore',
    state text NOT NULL DEFAULT 'filling',
    paused boolean NOT NULL DEFAULT false,
    position text NOT NULL DEFAULT '',
    evaluated bigint NOT NULL DEFAULT 0,
    not_judged bigint NOT NULL DEFAULT 0,
    live_at timestamptz,
    PRIMARY KEY (segment, version)
);
CREATE INDEX segment_version_at_work ON segment_version (state)
    WHERE state IN ('filling', 'telling_entered', 'telling_left', 'clearing');
CREATE TABLE segment_trigger (
    segment text NOT NULL,
    version integer NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (event, segment, version),
    FOREIGN KEY (segment, version) REFERENCES segment_version (segment, version)
);
CREATE INDEX segment_trigger_of ON segment_trigger (segment, version);
CREATE TABLE membership (
    contact_id text NOT NULL,
    segment text NOT NULL,
    version integer NOT NULL,
    member boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL,
    changes_at timestamptz,
    seq integer NOT NULL DEFAULT 0,
    told boolean NOT NULL DEFAULT false,
    PRIMARY KEY (contact_id, segment, version)
);
CREATE INDEX membership_members ON membership (segment, version, contact_id COLLATE "C") WHERE member;
CREATE INDEX membership_due ON membership (changes_at) WHERE changes_at IS NOT NULL;
CREATE INDEX membership_of_version ON membership (segment, version, contact_id);
CREATE TABLE segment_day (
    segment text NOT NULL REFERENCES segment (name),
    day date NOT NULL,
    members integer NOT NULL,
    entered integer NOT NULL,
    "left" integer NOT NULL,
    PRIMARY KEY (segment, day)
);
DROP INDEX event_by_contact;
CREATE INDEX event_by_contact ON event (contact_id, name, occurred_at);
"""


def upgrade() -> None:
    """Add the tables, and build the index anew; no events can be stored in the meantime."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
