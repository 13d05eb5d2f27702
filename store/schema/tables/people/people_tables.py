"""Tables of contacts, of what they allow (consents, suppressions), and of what Stripe knows of them."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import counted_id, integer, jsonb, metadata, string, timestamp

contact = Table(
    "contact",
    metadata,
    string("id", primary_key=True),
    string("email", nullable=True),
    string("phone", nullable=True),
    string("timezone", nullable=True),
    string("locale", nullable=True),
    jsonb("attributes"),
    timestamp("paused_until", nullable=True),
    timestamp("created_at", now=True),
    timestamp("updated_at", now=True),
    Index("contact_email", text("lower(email)"), postgresql_where=text("email IS NOT NULL")),
    Index("contact_phone", "phone", postgresql_where=text("phone IS NOT NULL")),
    Index("contact_listed", "id", postgresql_ops={"id": 'COLLATE "C"'}),
    Index(
        "contact_by_attributes", "attributes", postgresql_using="gin", postgresql_ops={"attributes": "jsonb_path_ops"}
    ),
)

erasure = Table(
    "erasure",
    metadata,
    string("contact_id", primary_key=True),
    timestamp("erased_at", now=True),
)

consent = Table(
    "consent",
    metadata,
    string("contact_id"),
    string("channel"),
    string("topic", default=""),
    string("status"),
    string("source"),
    string("text_version", default=""),
    timestamp("at"),
    timestamp("confirmed_at", nullable=True),
    PrimaryKeyConstraint("contact_id", "channel", "topic"),
)

consent_change = Table(
    "consent_change",
    metadata,
    counted_id(),
    string("contact_id"),
    string("channel"),
    string("topic", default=""),
    string("status"),
    string("source"),
    string("text_version", default=""),
    timestamp("at"),
    Index("consent_change_by_contact", "contact_id", "id"),
)

suppression = Table(
    "suppression",
    metadata,
    string("channel"),
    string("address_hash"),
    string("reason"),
    timestamp("at", now=True),
    PrimaryKeyConstraint("channel", "address_hash"),
)

address_secret = Table(
    "address_secret",
    metadata,
    Column("sole", Boolean, CheckConstraint("sole"), primary_key=True, server_default=text("true")),
    string("fingerprint"),
    timestamp("since", now=True),
)

stripe_customer = Table(
    "stripe_customer",
    metadata,
    string("customer_id", primary_key=True),
    string("contact_id", nullable=True),
    string("named_id", nullable=True),
    timestamp("named_at", nullable=True),
    string("reference_id", nullable=True),
    timestamp("reference_at", nullable=True),
    string("email", nullable=True),
    timestamp("email_at", nullable=True),
    timestamp("heard_at"),
    Index("stripe_customer_by_contact", "contact_id", postgresql_where=text("contact_id IS NOT NULL")),
    Index("stripe_customer_unmatched", "heard_at", postgresql_where=text("contact_id IS NULL")),
)

stripe_subscription = Table(
    "stripe_subscription",
    metadata,
    string("subscription_id", primary_key=True),
    string("customer_id", references="stripe_customer.customer_id"),
    jsonb("state", default=None),
    timestamp("as_of"),
    integer("rank"),
    string("event_id"),
    Index("stripe_subscription_by_customer", "customer_id"),
)

stripe_waiting = Table(
    "stripe_waiting",
    metadata,
    string("event_id", primary_key=True),
    string("customer_id", references="stripe_customer.customer_id"),
    string("name"),
    jsonb("properties"),
    timestamp("occurred_at"),
    integer("rank"),
    timestamp("received_at"),
    Index("stripe_waiting_by_customer", "customer_id"),
    Index("stripe_waiting_by_age", "received_at"),
)
