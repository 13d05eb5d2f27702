"""Scores, and each contact's score and grade.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE score (
    name text PRIMARY KEY,
    latest integer NOT NULL,
    live integer
);
CREATE TABLE score_version (
    score text NOT NULL REFERENCES score (name),
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
    PRIMARY KEY (score, version)
);
CREATE INDEX score_version_at_work ON score_version (state) WHERE state IN ('filling', 'switching', 'clearing');
CREATE TABLE score_trigger (
    score text NOT NULL,
    version integer NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (event, score, version),
    FOREIGN KEY (score, version) REFERENCES score_version (score, version)
);
CREATE INDEX score_trigger_of ON score_trigger (score, version);
CREATE TABLE score_value (
    contact_id text NOT NULL,
    score text NOT NULL,
    version integer NOT NULL,
    value double precision NOT NULL,
    at timestamptz NOT NULL,
    course jsonb NOT NULL DEFAULT '{}',
    grade text NOT NULL,
    since timestamptz NOT NULL,
    changes_at timestamptz,
    seq integer NOT NULL DEFAULT 0,
    untold text,
    PRIMARY KEY (contact_id, score, version)
);
CREATE INDEX score_value_grades ON score_value (score, version, grade, contact_id COLLATE "C");
CREATE INDEX score_value_due ON score_value (changes_at) WHERE changes_at IS NOT NULL;
CREATE INDEX score_value_of_version ON score_value (score, version, contact_id COLLATE "C");
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
