"""Tables of the built-in CRM, of the people who sign in to it, and of what HubSpot says."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import boolean, jsonb, metadata, string, timestamp, uuid

crm_contact = Table(
    "crm_contact",
    metadata,
    string("contact_id", primary_key=True),
    string("stage", nullable=True),
    jsonb("fields"),
    timestamp("updated_at", now=True),
)

crm_note = Table(
    "crm_note",
    metadata,
    uuid("id", primary_key=True),
    string("effect_key", unique=True),
    string("contact_id"),
    string("body"),
    timestamp("created_at", now=True),
    string("author", nullable=True),
    Index("crm_note_by_contact", "contact_id", "id"),
)

_DUE = text("(coalesce(due_at, 'infinity'::timestamptz))")
"""Tasks without a due date come last."""

crm_task = Table(
    "crm_task",
    metadata,
    uuid("id", primary_key=True),
    string("effect_key", unique=True),
    string("contact_id"),
    string("title"),
    string("owner", nullable=True),
    timestamp("due_at", nullable=True),
    boolean("done"),
    timestamp("created_at", now=True),
    timestamp("done_at", nullable=True),
    string("outcome", nullable=True),
    string("reason", nullable=True),
    string("done_by", nullable=True),
    Index("crm_task_by_contact", "contact_id", "id"),
    Index("crm_task_listed", "done", _DUE, "id"),
    Index("crm_task_by_owner", text("(coalesce(owner, ''))"), "done", _DUE, "id"),
)

crm_person = Table(
    "crm_person",
    metadata,
    string("name", primary_key=True),
    timestamp("valid_from"),
)

hubspot_contact = Table(
    "hubspot_contact",
    metadata,
    string("object_id", primary_key=True),
    string("contact_id", nullable=True),
    string("named_id", nullable=True),
    timestamp("named_at", nullable=True),
    string("email", nullable=True),
    timestamp("email_at", nullable=True),
    timestamp("asked_at", nullable=True),
    timestamp("heard_at"),
    Index("hubspot_contact_by_contact", "contact_id", postgresql_where=text("contact_id IS NOT NULL")),
    Index("hubspot_contact_unmatched", "heard_at", postgresql_where=text("contact_id IS NULL")),
)

hubspot_property = Table(
    "hubspot_property",
    metadata,
    string("object_id", references="hubspot_contact.object_id"),
    string("name"),
    string("value", nullable=True),
    timestamp("occurred_at"),
    string("event_id"),
    PrimaryKeyConstraint("object_id", "name"),
)

hubspot_task = Table(
    "hubspot_task",
    metadata,
    string("task_id", primary_key=True),
    string("contact_id"),
    string("effect_key"),
    string("outcome", nullable=True),
    Index("hubspot_task_by_contact", "contact_id"),
)
"""A task that a step made. `outcome` is what its completion was told as; null while it is open."""

hubspot_merged = Table(
    "hubspot_merged",
    metadata,
    string("object_id", primary_key=True),
    string("into_id"),
    timestamp("heard_at"),
    timestamp("done_at", nullable=True),
    Index("hubspot_merged_into", "into_id"),
    Index("hubspot_merged_waiting", "heard_at", postgresql_where=text("done_at IS NULL")),
)
"""A contact of HubSpot that was merged into another one there. `done_at` is when it had been seen to here; until then
it waits for the two to be known."""

hubspot_waiting = Table(
    "hubspot_waiting",
    metadata,
    string("event_id", primary_key=True),
    string("object_id"),
    string("kind"),
    string("name"),
    string("value", nullable=True),
    boolean("own"),
    timestamp("occurred_at"),
    timestamp("received_at"),
    Index("hubspot_waiting_by_object", "kind", "object_id"),
    Index("hubspot_waiting_by_age", "received_at"),
)
