"""Contacts that became one in HubSpot, outcomes of its tasks, and the former addresses of merged contacts.

Revision ID: 0031
Revises: 0026
"""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE hubspot_merged (
    object_id text PRIMARY KEY,
    into_id text NOT NULL,
    heard_at timestamptz NOT NULL,
    done_at timestamptz
);
CREATE INDEX hubspot_merged_into ON hubspot_merged (into_id);
CREATE INDEX hubspot_merged_waiting ON hubspot_merged (heard_at) WHERE done_at IS NULL;
ALTER TABLE hubspot_task ADD COLUMN outcome text;
CREATE TABLE former_address (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id text NOT NULL,
    channel text NOT NULL,
    address_hash text NOT NULL
);
CREATE INDEX former_address_of ON former_address (contact_id);
CREATE INDEX former_address_hash ON former_address (address_hash);
"""


def upgrade() -> None:
    """Add the tables and the column."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
