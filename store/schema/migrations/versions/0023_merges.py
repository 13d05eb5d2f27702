"""Merged contacts: which id stands for which, and what each merge moved.

Revision ID: 0023
Revises: 0022
"""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE merged_id (
    id text PRIMARY KEY,
    contact_id text NOT NULL
);
CREATE INDEX merged_id_of ON merged_id (contact_id);
CREATE TABLE contact_merge (
    id uuid PRIMARY KEY,
    contact_id text NOT NULL,
    merged_id text NOT NULL,
    merged_by text NOT NULL,
    merged_at timestamptz NOT NULL,
    undone_by text,
    undone_at timestamptz,
    former jsonb,
    changes jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX contact_merge_of ON contact_merge (contact_id, id);
CREATE INDEX contact_merge_from ON contact_merge (merged_id, id);
CREATE INDEX contact_merge_kept ON contact_merge (merged_at) WHERE former IS NOT NULL;
CREATE TABLE merge_moved (
    merge_id uuid NOT NULL REFERENCES contact_merge (id),
    part text NOT NULL,
    row_id text NOT NULL,
    PRIMARY KEY (merge_id, part, row_id)
);
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
