"""Tables beside `event`: events of the future, and until when events of each name were deleted."""

from __future__ import annotations

from sqlalchemy import Index, Table

from store.schema.tables.columns import big_integer, jsonb, metadata, string, timestamp

future_event = Table(
    "future_event",
    metadata,
    string("event_id", primary_key=True),
    string("contact_id"),
    string("name"),
    jsonb("properties"),
    timestamp("occurred_at"),
    timestamp("received_at", now=True),
    timestamp("due_at"),
    Index("future_event_due", "due_at", "event_id"),
    Index("future_event_by_contact", "contact_id"),
)
"""Events that were told before they happen. `due_at` is `occurred_at`, or later after a failure."""

deleted_events = Table(
    "deleted_events",
    metadata,
    string("name", primary_key=True),
    timestamp("before"),
    big_integer("count", default=0),
)
"""Events of this name that happened earlier than `before` may have been deleted by the policy's retention; `count` is
how many were."""
