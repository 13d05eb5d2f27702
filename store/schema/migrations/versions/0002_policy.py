"""Policy, consent, breakers and tracked links.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE policy (
    version INTEGER NOT NULL,
    source TEXT NOT NULL,
    data JSONB NOT NULL,
    digest TEXT NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE consent (
    contact_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    topic TEXT DEFAULT '' NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    text_version TEXT DEFAULT '' NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (contact_id, channel, topic)
);
CREATE TABLE consent_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    contact_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    topic TEXT DEFAULT '' NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    text_version TEXT DEFAULT '' NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX consent_change_by_contact ON consent_change (contact_id, id);
CREATE TABLE breaker (
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    figures JSONB DEFAULT '{}'::jsonb NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE,
    resumed_at TIMESTAMP WITH TIME ZONE,
    next_at TIMESTAMP WITH TIME ZONE,
    free_at TIMESTAMP WITH TIME ZONE,
    per_second FLOAT(53) DEFAULT 1 NOT NULL,
    held INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY (scope)
);
CREATE TABLE chore (
    name TEXT NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE message_links (
    message_id UUID NOT NULL,
    urls TEXT[] NOT NULL,
    PRIMARY KEY (message_id),
    FOREIGN KEY(message_id) REFERENCES message (id)
);
CREATE TABLE touch (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    message_id UUID NOT NULL,
    kind TEXT NOT NULL,
    link INTEGER,
    by TEXT NOT NULL,
    why TEXT DEFAULT '' NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE,
    event_id TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(message_id) REFERENCES message (id)
);
CREATE INDEX touch_by_message ON touch (message_id, at);
CREATE INDEX touch_due ON touch (due_at) WHERE due_at IS NOT NULL;
"""

COLUMNS = """
ALTER TABLE contact ADD COLUMN paused_until TIMESTAMP WITH TIME ZONE;
ALTER TABLE message
    ADD COLUMN topic TEXT DEFAULT '' NOT NULL,
    ADD COLUMN transactional BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN priority INTEGER DEFAULT 0 NOT NULL,
    ADD COLUMN pace FLOAT(53) DEFAULT 1 NOT NULL,
    ADD COLUMN address_hash TEXT,
    ADD COLUMN held_since TIMESTAMP WITH TIME ZONE,
    ADD COLUMN due_at TIMESTAMP WITH TIME ZONE;
CREATE INDEX message_by_address ON message (address_hash, claimed_at) WHERE address_hash IS NOT NULL;
CREATE INDEX message_by_time ON message (channel, claimed_at);
CREATE INDEX message_by_track ON message (track, channel, claimed_at);
CREATE INDEX message_bad ON message (channel, claimed_at) WHERE delivery IN ('bounced', 'complained', 'failed');
CREATE INDEX message_waiting ON message (reason) WHERE status = 'deferred';
"""


def upgrade() -> None:
    """Add tables, columns and indexes."""
    for statements in (TABLES, COLUMNS):
        op.execute(statements)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
