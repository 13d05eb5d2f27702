"""The tables as SQLAlchemy Core sees them. `migrations/` creates them; a test says that both agree.

No message row, event row or enrollment row holds an address: addresses live in `contact` alone, and a
suppression or a message keeps only a hash. There are no foreign keys to `contact`, because erasing a person deletes
that row and keeps the counts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from store.schema.columns import data, identity, metadata, moment, words

# As PostgreSQL writes it: what it has is compared with this.
_BAD = "COALESCE((delivery = ANY (ARRAY['bounced'::text, 'complained'::text, 'failed'::text])), false)"

contact = Table(
    "contact",
    metadata,
    Column("id", Text, primary_key=True),
    words("email", nullable=True),
    words("phone", nullable=True),
    words("timezone", nullable=True),
    words("locale", nullable=True),
    data("attributes"),
    moment("paused_until", nullable=True),
    moment("created_at", now=True),
    moment("updated_at", now=True),
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
    Column("contact_id", Text, primary_key=True),
    moment("erased_at", now=True),
)

track = Table(
    "track",
    metadata,
    Column("name", Text, primary_key=True),
    Column("latest", Integer, nullable=False),
    words("entry_event", nullable=True),
    data("rules"),
    moment("published_at", now=True),
    Index("track_entry", "entry_event", postgresql_where=text("entry_event IS NOT NULL")),
)

track_version = Table(
    "track_version",
    metadata,
    Column("track", Text, ForeignKey("track.name"), nullable=False),
    Column("version", Integer, nullable=False),
    words("source"),
    data("data", default=None),
    data("compiled", default=None),
    words("digest"),
    Column("attributes", ARRAY(Text), nullable=False),
    moment("published_at", now=True),
    PrimaryKeyConstraint("track", "version"),
)

interest = Table(
    "interest",
    metadata,
    words("track"),
    Column("version", Integer, nullable=False),
    words("event"),
    PrimaryKeyConstraint("track", "version", "event"),
    ForeignKeyConstraint(["track", "version"], ["track_version.track", "track_version.version"]),
)

template = Table(
    "template",
    metadata,
    Column("name", Text, primary_key=True),
    Column("latest", Integer, nullable=False),
)

template_version = Table(
    "template_version",
    metadata,
    Column("template", Text, ForeignKey("template.name"), nullable=False),
    Column("version", Integer, nullable=False),
    words("kind"),
    words("source"),
    data("data"),
    words("digest"),
    moment("published_at", now=True),
    PrimaryKeyConstraint("template", "version"),
)

enrollment = Table(
    "enrollment",
    metadata,
    identity("id", primary_key=True),
    words("track"),
    Column("version", Integer, nullable=False),
    words("contact_id"),
    words("key", default=""),
    words("slot", default=""),
    words("workflow_id"),
    words("status", default="active"),
    data("properties"),
    Column("pace", Float(53), nullable=False, server_default=text("1")),
    moment("origin"),
    words("step", nullable=True),
    moment("created_at", now=True),
    moment("started_at", nullable=True),
    moment("goal_reached_at", nullable=True),
    moment("exit_reached_at", nullable=True),
    moment("ended_at", nullable=True),
    words("end_reason", nullable=True),
    data("counts"),
    ForeignKeyConstraint(["track", "version"], ["track_version.track", "track_version.version"]),
    Index("enrollment_slot", "track", "contact_id", "key", "slot", unique=True),
    Index("enrollment_by_track", "track", "id"),
    Index("enrollment_by_contact", "contact_id", "id"),
    Index("enrollment_by_status", "status", "id"),
)

path_entry = Table(
    "path_entry",
    metadata,
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    words("step"),
    words("kind"),
    words("outcome"),
    moment("at"),
    words("detail", default=""),
    PrimaryKeyConstraint("enrollment_id", "seq"),
)

event = Table(
    "event",
    metadata,
    Column("event_id", Text, primary_key=True),
    words("contact_id"),
    words("name"),
    data("properties"),
    moment("occurred_at"),
    moment("received_at", now=True),
    Index("event_by_contact", "contact_id", "name", "received_at"),
    Index("event_by_name", "name", "received_at", "event_id"),
)

inbound_text = Table(
    "inbound_text",
    metadata,
    Column("provider_id", Text, primary_key=True),
    moment("received_at", now=True),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    words("kind"),
    data("payload"),
    moment("created_at", now=True),
    moment("next_attempt_at", now=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("delivered_at", nullable=True),
    words("dropped_reason", nullable=True),
    Column("bulk", Boolean, nullable=False, server_default=text("false")),
    words("reason", default=""),
    Index("outbox_waiting", "bulk", text("(kind = 'start')"), "id", postgresql_where=text("delivered_at IS NULL")),
    Index("outbox_waiting_run", "enrollment_id", "id", postgresql_where=text("delivered_at IS NULL")),
    Index("outbox_held", "enrollment_id", "id", postgresql_where=text("delivered_at IS NULL AND attempts > 0")),
)

refused_delivery = Table(
    "refused_delivery",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    words("kind"),
    data("payload"),
    moment("created_at"),
    moment("refused_at", now=True),
    words("cause"),
    words("reason"),
)

message = Table(
    "message",
    metadata,
    identity("id", primary_key=True),
    Column("effect_key", Text, nullable=False, unique=True),
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    words("contact_id"),
    words("track"),
    words("step"),
    words("channel"),
    words("status"),
    words("token"),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    words("provider_id", nullable=True),
    words("reason", default=""),
    words("delivery", nullable=True),
    words("delivery_reason", default=""),
    moment("delivery_at", nullable=True),
    Column("bad", Boolean, Computed(_BAD, persisted=True)),
    moment("claimed_at"),
    moment("settled_at", nullable=True),
    words("topic", default=""),
    Column("transactional", Boolean, nullable=False, server_default=text("false")),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("pace", Float(53), nullable=False, server_default=text("1")),
    words("address_hash", nullable=True),
    moment("held_since", nullable=True),
    moment("due_at", nullable=True),
    Index("message_by_address", "address_hash", "claimed_at", postgresql_where=text("address_hash IS NOT NULL")),
    Index("message_by_time", "channel", "claimed_at"),
    Index("message_by_track", "track", "channel", "claimed_at"),
    # Not by what the provider says: a row is changed in place only where no index names what changes.
    Index("message_bad", "channel", "claimed_at", postgresql_where=text("bad")),
    Index("message_listed", "track", "step", "channel", "status", "id"),
    Index("message_bad_listed", "id", postgresql_where=text("bad")),
    Index("message_waiting", "reason", postgresql_where=text("status = 'deferred'")),
    Index("message_by_run", "enrollment_id", "id"),
    Index("message_by_contact", "contact_id", "id"),
    Index("message_by_provider", "channel", "provider_id", postgresql_where=text("provider_id IS NOT NULL")),
    Index("message_open", "claimed_at", postgresql_where=text("status IN ('sending', 'unknown')")),
)

effect = Table(
    "effect",
    metadata,
    Column("effect_key", Text, primary_key=True),
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    words("kind"),
    words("outcome"),
    words("reason", default=""),
    moment("done_at", now=True),
)

suppression = Table(
    "suppression",
    metadata,
    words("channel"),
    words("address_hash"),
    words("reason"),
    moment("at", now=True),
    PrimaryKeyConstraint("channel", "address_hash"),
)

address_secret = Table(
    "address_secret",
    metadata,
    Column("sole", Boolean, CheckConstraint("sole"), primary_key=True, server_default=text("true")),
    words("fingerprint"),
    moment("since", now=True),
)

api_key = Table(
    "api_key",
    metadata,
    identity("id", primary_key=True),
    Column("key_hash", Text, nullable=False, unique=True),
    words("name"),
    moment("created_at", now=True),
    moment("revoked_at", nullable=True),
)

crm_contact = Table(
    "crm_contact",
    metadata,
    Column("contact_id", Text, primary_key=True),
    words("stage", nullable=True),
    data("fields"),
    moment("updated_at", now=True),
)

crm_note = Table(
    "crm_note",
    metadata,
    identity("id", primary_key=True),
    Column("effect_key", Text, nullable=False, unique=True),
    words("contact_id"),
    words("body"),
    moment("created_at", now=True),
    Index("crm_note_by_contact", "contact_id", "id"),
)

crm_task = Table(
    "crm_task",
    metadata,
    identity("id", primary_key=True),
    Column("effect_key", Text, nullable=False, unique=True),
    words("contact_id"),
    words("title"),
    words("owner", nullable=True),
    moment("due_at", nullable=True),
    Column("done", Boolean, nullable=False, server_default=text("false")),
    moment("created_at", now=True),
    Index("crm_task_by_contact", "contact_id", "id"),
)

dropped = Table(
    "dropped",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    words("reason"),
    words("kind"),
    words("track", nullable=True),
    Column("count", Integer, nullable=False, server_default=text("1")),
    moment("at", now=True),
)
