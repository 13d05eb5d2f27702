"""Leads that tracks hand over to sales, and whose turn it is.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE handoff (
    id uuid PRIMARY KEY,
    effect_key text NOT NULL UNIQUE,
    contact_id text NOT NULL,
    enrollment_id uuid NOT NULL REFERENCES enrollment (id),
    seq integer NOT NULL,
    track text NOT NULL,
    step text NOT NULL,
    team text NOT NULL,
    salesperson text NOT NULL,
    reason text NOT NULL,
    summary text NOT NULL,
    scores jsonb,
    status text NOT NULL,
    at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    answered_at timestamptz,
    answer_reason text NOT NULL DEFAULT '',
    answered_by text NOT NULL DEFAULT '',
    crm_task_id text
);
CREATE INDEX handoff_by_contact ON handoff (contact_id, id);
CREATE INDEX handoff_by_status ON handoff (status, id);
CREATE INDEX handoff_by_salesperson ON handoff (salesperson, id);
CREATE INDEX handoff_by_task ON handoff (crm_task_id) WHERE crm_task_id IS NOT NULL;
CREATE INDEX handoff_waiting ON handoff (due_at) WHERE status = 'waiting';
CREATE TABLE handoff_turn (
    team text NOT NULL,
    salesperson text NOT NULL,
    turn bigint NOT NULL,
    PRIMARY KEY (team, salesperson)
);
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
