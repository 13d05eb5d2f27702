"""Imports (files of contacts that are enrolled at a bounded rate), and the outbox's slow lane for them.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE import_job (
    id UUID NOT NULL,
    track TEXT NOT NULL,
    options JSONB DEFAULT '{}'::jsonb NOT NULL,
    state TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    idempotency_key TEXT,
    per_second FLOAT(53) NOT NULL,
    rows BIGINT DEFAULT 0 NOT NULL,
    chunks INTEGER DEFAULT 0 NOT NULL,
    next_chunk INTEGER DEFAULT 0 NOT NULL,
    outcomes JSONB DEFAULT '{}'::jsonb NOT NULL,
    speed FLOAT(53) DEFAULT 0 NOT NULL,
    held TEXT DEFAULT '' NOT NULL,
    news INTEGER DEFAULT 0 NOT NULL,
    told INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    heard_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX import_job_key ON import_job (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX import_job_open ON import_job (id) WHERE ended_at IS NULL OR told < news;
CREATE TABLE import_chunk (
    import_id UUID NOT NULL,
    number INTEGER NOT NULL,
    rows TEXT NOT NULL,
    PRIMARY KEY (import_id, number),
    FOREIGN KEY(import_id) REFERENCES import_job (id)
);
CREATE TABLE import_problem (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    import_id UUID NOT NULL,
    line BIGINT NOT NULL,
    kind TEXT NOT NULL,
    contact_id TEXT,
    field TEXT DEFAULT '' NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(import_id) REFERENCES import_job (id)
);
CREATE INDEX import_problem_by_line ON import_problem (import_id, line, id);
"""

# One index for all lanes: live rows are found without reading a million others.
LANE = """
ALTER TABLE outbox ADD COLUMN bulk BOOLEAN DEFAULT false NOT NULL;
DROP INDEX outbox_waiting;
CREATE INDEX outbox_waiting ON outbox (bulk, id) WHERE delivered_at IS NULL;
"""


def upgrade() -> None:
    """Add the tables, and the lane to the outbox."""
    for statements in (TABLES, LANE):
        op.execute(statements)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
