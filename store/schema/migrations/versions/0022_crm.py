"""The built-in CRM's tasks can be done, its notes have authors, salespeople sign in; HubSpot's changes are taken in.

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE crm_note ADD COLUMN author text;
ALTER TABLE crm_task
    ADD COLUMN done_at timestamptz, ADD COLUMN outcome text, ADD COLUMN reason text, ADD COLUMN done_by text;
CREATE INDEX crm_task_listed ON crm_task (done, (coalesce(due_at, 'infinity'::timestamptz)), id);
CREATE INDEX crm_task_by_owner
    ON crm_task ((coalesce(owner, '')), done, (coalesce(due_at, 'infinity'::timestamptz)), id);
CREATE TABLE crm_person (
    name text PRIMARY KEY,
    valid_from timestamptz NOT NULL
);
CREATE TABLE hubspot_contact (
    object_id text PRIMARY KEY,
    contact_id text,
    named_id text,
    named_at timestamptz,
    email text,
    email_at timestamptz,
    asked_at timestamptz,
    heard_at timestamptz NOT NULL
);
CREATE INDEX hubspot_contact_by_contact ON hubspot_contact (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX hubspot_contact_unmatched ON hubspot_contact (heard_at) WHERE contact_id IS NULL;
CREATE TABLE hubspot_property (
    object_id text NOT NULL REFERENCES hubspot_contact (object_id),
    name text NOT NULL,
    value text,
    occurred_at timestamptz NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (object_id, name)
);
CREATE TABLE hubspot_task (
    task_id text PRIMARY KEY,
    contact_id text NOT NULL,
    effect_key text NOT NULL
);
CREATE INDEX hubspot_task_by_contact ON hubspot_task (contact_id);
CREATE TABLE hubspot_waiting (
    event_id text PRIMARY KEY,
    object_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    value text,
    own boolean NOT NULL DEFAULT false,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX hubspot_waiting_by_object ON hubspot_waiting (kind, object_id);
CREATE INDEX hubspot_waiting_by_age ON hubspot_waiting (received_at);
"""


def upgrade() -> None:
    """Add the columns and tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
