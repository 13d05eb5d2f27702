"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE api_key (
    id UUID NOT NULL,
    key_hash TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (key_hash)
);
CREATE TABLE contact (
    id TEXT NOT NULL,
    email TEXT,
    phone TEXT,
    timezone TEXT,
    locale TEXT,
    attributes JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX contact_email ON contact (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX contact_phone ON contact (phone) WHERE phone IS NOT NULL;
CREATE TABLE crm_contact (
    contact_id TEXT NOT NULL,
    stage TEXT,
    fields JSONB DEFAULT '{}'::jsonb NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (contact_id)
);
CREATE TABLE crm_note (
    id UUID NOT NULL,
    effect_key TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (effect_key)
);
CREATE INDEX crm_note_by_contact ON crm_note (contact_id, id);
CREATE TABLE crm_task (
    id UUID NOT NULL,
    effect_key TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    title TEXT NOT NULL,
    owner TEXT,
    due_at TIMESTAMP WITH TIME ZONE,
    done BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (effect_key)
);
CREATE INDEX crm_task_by_contact ON crm_task (contact_id, id);
CREATE TABLE dropped (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    reason TEXT NOT NULL,
    kind TEXT NOT NULL,
    track TEXT,
    count INTEGER DEFAULT 1 NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE erasure (
    contact_id TEXT NOT NULL,
    erased_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (contact_id)
);
CREATE TABLE event (
    event_id TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    name TEXT NOT NULL,
    properties JSONB DEFAULT '{}'::jsonb NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);
CREATE INDEX event_by_contact ON event (contact_id, received_at);
CREATE TABLE suppression (
    channel TEXT NOT NULL,
    address_hash TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (channel, address_hash)
);
CREATE TABLE template (
    name TEXT NOT NULL,
    latest INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE track (
    name TEXT NOT NULL,
    latest INTEGER NOT NULL,
    entry_event TEXT,
    rules JSONB DEFAULT '{}'::jsonb NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (name)
);
CREATE INDEX track_entry ON track (entry_event) WHERE entry_event IS NOT NULL;
CREATE TABLE template_version (
    template TEXT NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    data JSONB DEFAULT '{}'::jsonb NOT NULL,
    digest TEXT NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (template, version),
    FOREIGN KEY(template) REFERENCES template (name)
);
CREATE TABLE track_version (
    track TEXT NOT NULL,
    version INTEGER NOT NULL,
    source TEXT NOT NULL,
    data JSONB NOT NULL,
    compiled JSONB NOT NULL,
    digest TEXT NOT NULL,
    attributes TEXT[] NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (track, version),
    FOREIGN KEY(track) REFERENCES track (name)
);
CREATE TABLE enrollment (
    id UUID NOT NULL,
    track TEXT NOT NULL,
    version INTEGER NOT NULL,
    contact_id TEXT NOT NULL,
    key TEXT DEFAULT '' NOT NULL,
    slot TEXT DEFAULT '' NOT NULL,
    workflow_id TEXT NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    properties JSONB DEFAULT '{}'::jsonb NOT NULL,
    pace FLOAT(53) DEFAULT 1 NOT NULL,
    origin TIMESTAMP WITH TIME ZONE NOT NULL,
    step TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    goal_reached_at TIMESTAMP WITH TIME ZONE,
    exit_reached_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    end_reason TEXT,
    counts JSONB DEFAULT '{}'::jsonb NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(track, version) REFERENCES track_version (track, version)
);
CREATE INDEX enrollment_by_contact ON enrollment (contact_id, id);
CREATE INDEX enrollment_by_status ON enrollment (status, id);
CREATE INDEX enrollment_by_track ON enrollment (track, id);
CREATE INDEX enrollment_live ON enrollment (contact_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX enrollment_slot ON enrollment (track, contact_id, key, slot);
CREATE TABLE interest (
    track TEXT NOT NULL,
    version INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (track, version, event),
    FOREIGN KEY(track, version) REFERENCES track_version (track, version)
);
CREATE TABLE effect (
    effect_key TEXT NOT NULL,
    enrollment_id UUID NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (effect_key),
    FOREIGN KEY(enrollment_id) REFERENCES enrollment (id)
);
CREATE TABLE message (
    id UUID NOT NULL,
    effect_key TEXT NOT NULL,
    enrollment_id UUID NOT NULL,
    contact_id TEXT NOT NULL,
    track TEXT NOT NULL,
    step TEXT NOT NULL,
    channel TEXT NOT NULL,
    status TEXT NOT NULL,
    token TEXT NOT NULL,
    attempts INTEGER DEFAULT 1 NOT NULL,
    provider_id TEXT,
    reason TEXT DEFAULT '' NOT NULL,
    delivery TEXT,
    delivery_reason TEXT DEFAULT '' NOT NULL,
    delivery_at TIMESTAMP WITH TIME ZONE,
    claimed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (effect_key),
    FOREIGN KEY(enrollment_id) REFERENCES enrollment (id)
);
CREATE INDEX message_by_contact ON message (contact_id, id);
CREATE INDEX message_by_provider ON message (channel, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX message_by_run ON message (enrollment_id, id);
CREATE INDEX message_open ON message (claimed_at) WHERE status IN ('sending', 'unknown');
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    enrollment_id UUID NOT NULL,
    kind TEXT NOT NULL,
    payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    dropped_reason TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(enrollment_id) REFERENCES enrollment (id)
);
CREATE INDEX outbox_held ON outbox (enrollment_id, id) WHERE delivered_at IS NULL AND attempts > 0;
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_waiting_run ON outbox (enrollment_id, id) WHERE delivered_at IS NULL;
CREATE TABLE path_entry (
    enrollment_id UUID NOT NULL,
    seq INTEGER NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (enrollment_id, seq),
    FOREIGN KEY(enrollment_id) REFERENCES enrollment (id)
);
"""

# Steps, goals and callbacks update these rows in place: free space on the page avoids updates of the indexes.
STORAGE = """
ALTER TABLE enrollment SET (fillfactor = 80);
ALTER TABLE message SET (fillfactor = 80);
ALTER TABLE contact SET (fillfactor = 90);
ALTER TABLE outbox SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
"""

# One notification to the relay per statement, however many rows it wrote; it is sent when they are committed.
NOTIFY = """
CREATE FUNCTION perennial_outbox_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('perennial_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_written AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION perennial_outbox_written();
"""


def upgrade() -> None:
    """Create everything."""
    for statements in (TABLES, STORAGE, NOTIFY):
        op.execute(statements)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
