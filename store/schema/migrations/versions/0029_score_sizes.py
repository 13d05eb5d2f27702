"""How many contacts have each grade of a score, day by day; webhooks of segments that are sent changed fields.

Revision ID: 0029
Revises: 0026
"""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE score_day (
    score text NOT NULL REFERENCES score (name),
    day date NOT NULL,
    grade text NOT NULL,
    contacts integer NOT NULL,
    entered integer NOT NULL,
    "left" integer NOT NULL,
    PRIMARY KEY (score, day, grade)
);
ALTER TABLE segment_webhook ADD COLUMN changes text[] NOT NULL DEFAULT '{}';
ALTER TABLE segment_webhook_contact ADD COLUMN changed boolean NOT NULL DEFAULT false;
ALTER TABLE segment_webhook_contact ADD COLUMN fingerprint text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    """Add the table and the columns."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
