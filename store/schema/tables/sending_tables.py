"""Tables of messages, of what contacts do with them, and of the breakers that hold messages back."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Computed, Index, Table, text

from store.schema.tables.columns import (
    boolean,
    counted_id,
    double,
    integer,
    jsonb,
    metadata,
    string,
    string_array,
    timestamp,
    uuid,
)

# As PostgreSQL writes it: what it has is compared with this.
SKIPPED_LATE = "(attempts > 1 OR settled_at IS DISTINCT FROM claimed_at)"
"""Of a skipped message: it was not refused by its first claim, so it may have been rendered before."""
_BAD = "COALESCE((delivery = ANY (ARRAY['bounced'::text, 'complained'::text, 'failed'::text])), false)"

message = Table(
    "message",
    metadata,
    uuid("id", primary_key=True),
    string("effect_key", unique=True),
    uuid("enrollment_id", references="enrollment.id"),
    string("contact_id"),
    string("track"),
    string("step"),
    string("channel"),
    string("status"),
    string("token"),
    integer("attempts", default=1),
    string("provider_id", nullable=True),
    string("reason", default=""),
    string("delivery", nullable=True),
    string("delivery_reason", default=""),
    timestamp("delivery_at", nullable=True),
    Column("bad", Boolean, Computed(_BAD, persisted=True)),
    timestamp("claimed_at"),
    timestamp("settled_at", nullable=True),
    string("topic", default=""),
    boolean("transactional"),
    integer("priority", default=0),
    double("pace", default=1),
    string("address_hash", nullable=True),
    timestamp("held_since", nullable=True),
    timestamp("due_at", nullable=True),
    string("recipient", default=""),
    Index("message_by_address", "address_hash", "claimed_at", postgresql_where=text("address_hash IS NOT NULL")),
    Index("message_by_time", "channel", "claimed_at"),
    Index("message_by_track", "track", "channel", "claimed_at"),
    # Not by what the provider says: a row is changed in place only where no index names what changes.
    Index("message_bad", "channel", "claimed_at", postgresql_where=text("bad")),
    Index("message_listed", "track", "step", "channel", "status", "id"),
    Index("message_bad_listed", "id", postgresql_where=text("bad")),
    Index("message_skipped_late", "id", postgresql_where=text(f"status = 'skipped' AND {SKIPPED_LATE}")),
    Index("message_waiting", "reason", postgresql_where=text("status = 'deferred'")),
    Index("message_by_run", "enrollment_id", "id"),
    Index("message_by_contact", "contact_id", "id"),
    Index("message_by_provider", "channel", "provider_id", postgresql_where=text("provider_id IS NOT NULL")),
    Index("message_open", "claimed_at", postgresql_where=text("status IN ('sending', 'unknown')")),
)

message_links = Table(
    "message_links",
    metadata,
    uuid("message_id", references="message.id", primary_key=True),
    string_array("urls"),
)

message_content = Table(
    "message_content",
    metadata,
    uuid("message_id", references="message.id", primary_key=True),
    string("template"),
    integer("template_version"),
    string("track"),
    string("locale", nullable=True),
    jsonb("blocks"),
    string("subject_digest", nullable=True),
    jsonb("rendering", nullable=True, default=None),
    timestamp("kept_until", nullable=True),
    Index("message_content_by_template", "template", "template_version", "track", "message_id"),
    Index("message_content_kept", "kept_until", postgresql_where=text("kept_until IS NOT NULL")),
)

touch = Table(
    "touch",
    metadata,
    counted_id(),
    uuid("message_id", references="message.id"),
    string("kind"),
    integer("link", nullable=True),
    string("by"),
    string("why", default=""),
    timestamp("at"),
    timestamp("due_at", nullable=True),
    string("event_id", nullable=True),
    Index("touch_by_message", "message_id", "at"),
    Index("touch_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

inbound_text = Table(
    "inbound_text",
    metadata,
    string("provider_id", primary_key=True),
    timestamp("received_at", now=True),
)

breaker = Table(
    "breaker",
    metadata,
    string("scope", primary_key=True),
    string("state"),
    string("cause"),
    string("reason", default=""),
    jsonb("figures"),
    timestamp("changed_at"),
    timestamp("until", nullable=True),
    timestamp("resumed_at", nullable=True),
    timestamp("next_at", nullable=True),
    timestamp("free_at", nullable=True),
    double("per_second", default=1),
    integer("held", default=0),
)
