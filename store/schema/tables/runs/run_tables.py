"""Tables of enrolments, of the events of contacts, and of deliveries to runs."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import (
    big_integer,
    boolean,
    counted_id,
    double,
    integer,
    jsonb,
    metadata,
    string,
    timestamp,
    uuid,
)

enrollment = Table(
    "enrollment",
    metadata,
    uuid("id", primary_key=True),
    string("track"),
    integer("version"),
    string("contact_id"),
    string("key", default=""),
    string("slot", default=""),
    string("workflow_id"),
    string("status", default="active"),
    jsonb("properties"),
    double("pace", default=1),
    timestamp("origin"),
    string("step", nullable=True),
    timestamp("created_at", now=True),
    timestamp("started_at", nullable=True),
    timestamp("goal_reached_at", nullable=True),
    timestamp("exit_reached_at", nullable=True),
    timestamp("ended_at", nullable=True),
    string("end_reason", nullable=True),
    jsonb("counts"),
    string("entry", nullable=True),
    ForeignKeyConstraint(["track", "version"], ["track_version.track", "track_version.version"]),
    Index("enrollment_slot", "track", "contact_id", "key", "slot", unique=True),
    Index("enrollment_by_track", "track", "id"),
    Index("enrollment_by_contact", "contact_id", "id"),
    Index("enrollment_by_status", "status", "id"),
)

path_entry = Table(
    "path_entry",
    metadata,
    uuid("enrollment_id", references="enrollment.id"),
    integer("seq"),
    string("step"),
    string("kind"),
    string("outcome"),
    timestamp("at"),
    string("detail", default=""),
    PrimaryKeyConstraint("enrollment_id", "seq"),
)

event = Table(
    "event",
    metadata,
    string("event_id", primary_key=True),
    string("contact_id"),
    string("name"),
    jsonb("properties"),
    timestamp("occurred_at"),
    timestamp("received_at", now=True),
    Index("event_by_contact", "contact_id", "name", "occurred_at"),
    Index("event_by_name", "name", "received_at", "event_id"),
)

outbox = Table(
    "outbox",
    metadata,
    counted_id(),
    uuid("enrollment_id", references="enrollment.id"),
    string("kind"),
    jsonb("payload"),
    timestamp("created_at", now=True),
    timestamp("next_attempt_at", now=True),
    integer("attempts", default=0),
    timestamp("delivered_at", nullable=True),
    string("dropped_reason", nullable=True),
    boolean("bulk"),
    string("reason", default=""),
    Index("outbox_waiting", "bulk", text("(kind = 'start')"), "id", postgresql_where=text("delivered_at IS NULL")),
    Index("outbox_waiting_run", "enrollment_id", "id", postgresql_where=text("delivered_at IS NULL")),
    Index("outbox_held", "enrollment_id", "id", postgresql_where=text("delivered_at IS NULL AND attempts > 0")),
)

refused_delivery = Table(
    "refused_delivery",
    metadata,
    big_integer("id", primary_key=True),
    uuid("enrollment_id", references="enrollment.id"),
    string("kind"),
    jsonb("payload"),
    timestamp("created_at"),
    timestamp("refused_at", now=True),
    string("cause"),
    string("reason"),
)

awaited_condition = Table(
    "awaited_condition",
    metadata,
    uuid("enrollment_id", references="enrollment.id", primary_key=True),
    string("step"),
    integer("occurrence"),
    timestamp("since", now=True),
    timestamp("met_at", nullable=True),
)

effect = Table(
    "effect",
    metadata,
    string("effect_key", primary_key=True),
    uuid("enrollment_id", references="enrollment.id"),
    string("kind"),
    string("outcome"),
    string("reason", default=""),
    timestamp("done_at", now=True),
)

dropped = Table(
    "dropped",
    metadata,
    counted_id(),
    string("reason"),
    string("kind"),
    string("track", nullable=True),
    integer("count", default=1),
    timestamp("at", now=True),
)
