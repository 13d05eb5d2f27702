"""Deliveries that Temporal refuses for good are set aside, where they stand in nothing's way.

A table of their own: what reads the outbox is as fast as before, and says no more about them than it should.

Revision ID: 0011
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE refused_delivery (
    id BIGINT NOT NULL,
    enrollment_id UUID NOT NULL,
    kind TEXT NOT NULL,
    payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    refused_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(enrollment_id) REFERENCES enrollment (id)
);
"""


def upgrade() -> None:
    """Add it."""
    op.execute(TABLES)


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
