"""Set deliveries aside that Temporal refuses permanently, so that they block no others.

They have a table of their own, so that reading the outbox stays as fast as before.

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
    """Add the table."""
    op.execute(TABLES)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
