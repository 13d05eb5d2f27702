"""Stripe's customers and subscriptions, and the events of customers who are no contacts yet.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE stripe_customer (
    customer_id text PRIMARY KEY,
    contact_id text,
    named_id text,
    named_at timestamptz,
    reference_id text,
    reference_at timestamptz,
    email text,
    email_at timestamptz,
    heard_at timestamptz NOT NULL
);
CREATE INDEX stripe_customer_by_contact ON stripe_customer (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX stripe_customer_unmatched ON stripe_customer (heard_at) WHERE contact_id IS NULL;
CREATE TABLE stripe_subscription (
    subscription_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES stripe_customer (customer_id),
    state jsonb NOT NULL,
    as_of timestamptz NOT NULL,
    rank integer NOT NULL,
    event_id text NOT NULL
);
CREATE INDEX stripe_subscription_by_customer ON stripe_subscription (customer_id);
CREATE TABLE stripe_waiting (
    event_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES stripe_customer (customer_id),
    name text NOT NULL,
    properties jsonb NOT NULL DEFAULT '{}',
    occurred_at timestamptz NOT NULL,
    rank integer NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX stripe_waiting_by_customer ON stripe_waiting (customer_id);
CREATE INDEX stripe_waiting_by_age ON stripe_waiting (received_at);
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
