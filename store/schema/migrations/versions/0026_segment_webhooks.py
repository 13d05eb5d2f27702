"""Segments that are sent on to webhooks as they change.

Revision ID: 0026
Revises: 0025
"""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE SEQUENCE segment_webhook_seq;
CREATE TABLE segment_webhook (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segment text NOT NULL REFERENCES segment (name),
    name text NOT NULL,
    url text NOT NULL,
    fields text[] NOT NULL,
    batch integer NOT NULL,
    wait double precision NOT NULL,
    secret text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    paused text NOT NULL DEFAULT '',
    paused_at timestamptz,
    failing_since timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT '',
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    delivered_at timestamptz,
    delivered bigint NOT NULL DEFAULT 0,
    comparing text NOT NULL DEFAULT '',
    fence bigint NOT NULL DEFAULT 0,
    position text NOT NULL DEFAULT '',
    from_seq bigint NOT NULL DEFAULT 0,
    until_seq bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX segment_webhook_name ON segment_webhook (segment, name) WHERE comparing <> 'removal';
CREATE TABLE segment_webhook_contact (
    contact_id text NOT NULL,
    webhook bigint NOT NULL,
    member boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL,
    seq bigint NOT NULL,
    queued_at timestamptz NOT NULL,
    waiting boolean NOT NULL DEFAULT false,
    tried boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (contact_id, webhook)
);
CREATE INDEX segment_webhook_contact_waiting ON segment_webhook_contact (webhook, seq) WHERE waiting;
CREATE INDEX segment_webhook_contact_order ON segment_webhook_contact (webhook, contact_id COLLATE "C");
"""


def upgrade() -> None:
    """Add the tables and the sequence."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
