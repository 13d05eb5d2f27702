"""The tables as SQLAlchemy Core sees them. `migrations/` creates them; a test says that both agree.

No message row, event row or enrollment row holds an address: addresses live in `contact` alone, and a
suppression keeps only a hash. There are no foreign keys to `contact`, because erasing a person deletes
that row and keeps the counts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=func.now() if now else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=None if default is None else text(f"'{default}'"))


def _json(name: str, *, nullable: bool = False, default: str | None = "{}") -> Column[object]:
    return Column(
        name, JSONB, nullable=nullable, server_default=None if default is None else text(f"'{default}'::jsonb")
    )


def _id(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, Uuid(as_uuid=False), primary_key=primary_key, nullable=False)


contact = Table(
    "contact",
    metadata,
    Column("id", Text, primary_key=True),
    _text("email", nullable=True),
    _text("phone", nullable=True),
    _text("timezone", nullable=True),
    _text("locale", nullable=True),
    _json("attributes"),
    _time("created_at", now=True),
    _time("updated_at", now=True),
    Index("contact_email", text("lower(email)"), postgresql_where=text("email IS NOT NULL")),
    Index("contact_phone", "phone", postgresql_where=text("phone IS NOT NULL")),
)

erasure = Table(
    "erasure",
    metadata,
    Column("contact_id", Text, primary_key=True),
    _time("erased_at", now=True),
)

track = Table(
    "track",
    metadata,
    Column("name", Text, primary_key=True),
    Column("latest", Integer, nullable=False),
    _text("entry_event", nullable=True),
    _json("rules"),
    _time("published_at", now=True),
    Index("track_entry", "entry_event", postgresql_where=text("entry_event IS NOT NULL")),
)

track_version = Table(
    "track_version",
    metadata,
    Column("track", Text, ForeignKey("track.name"), nullable=False),
    Column("version", Integer, nullable=False),
    _text("source"),
    _json("data", default=None),
    _json("compiled", default=None),
    _text("digest"),
    Column("attributes", ARRAY(Text), nullable=False),
    _time("published_at", now=True),
    PrimaryKeyConstraint("track", "version"),
)

interest = Table(
    "interest",
    metadata,
    _text("track"),
    Column("version", Integer, nullable=False),
    _text("event"),
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
    _text("kind"),
    _text("source"),
    _json("data"),
    _text("digest"),
    _time("published_at", now=True),
    PrimaryKeyConstraint("template", "version"),
)

enrollment = Table(
    "enrollment",
    metadata,
    _id("id", primary_key=True),
    _text("track"),
    Column("version", Integer, nullable=False),
    _text("contact_id"),
    _text("key", default=""),
    _text("slot", default=""),
    _text("workflow_id"),
    _text("status", default="active"),
    _json("properties"),
    Column("pace", Float(53), nullable=False, server_default=text("1")),
    _time("origin"),
    _text("step", nullable=True),
    _time("created_at", now=True),
    _time("started_at", nullable=True),
    _time("goal_reached_at", nullable=True),
    _time("exit_reached_at", nullable=True),
    _time("ended_at", nullable=True),
    _text("end_reason", nullable=True),
    _json("counts"),
    ForeignKeyConstraint(["track", "version"], ["track_version.track", "track_version.version"]),
    Index("enrollment_slot", "track", "contact_id", "key", "slot", unique=True),
    Index("enrollment_live", "contact_id", postgresql_where=text("ended_at IS NULL")),
    Index("enrollment_by_track", "track", "id"),
    Index("enrollment_by_contact", "contact_id", "id"),
    Index("enrollment_by_status", "status", "id"),
)

path_entry = Table(
    "path_entry",
    metadata,
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    _text("step"),
    _text("kind"),
    _text("outcome"),
    _time("at"),
    _text("detail", default=""),
    PrimaryKeyConstraint("enrollment_id", "seq"),
)

event = Table(
    "event",
    metadata,
    Column("event_id", Text, primary_key=True),
    _text("contact_id"),
    _text("name"),
    _json("properties"),
    _time("occurred_at"),
    _time("received_at", now=True),
    Index("event_by_contact", "contact_id", "received_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    _text("kind"),
    _json("payload"),
    _time("created_at", now=True),
    _time("next_attempt_at", now=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _time("delivered_at", nullable=True),
    _text("dropped_reason", nullable=True),
    Index("outbox_waiting", "id", postgresql_where=text("delivered_at IS NULL")),
    Index("outbox_waiting_run", "enrollment_id", "id", postgresql_where=text("delivered_at IS NULL")),
    Index("outbox_held", "enrollment_id", "id", postgresql_where=text("delivered_at IS NULL AND attempts > 0")),
)

message = Table(
    "message",
    metadata,
    _id("id", primary_key=True),
    Column("effect_key", Text, nullable=False, unique=True),
    Column("enrollment_id", Uuid(as_uuid=False), ForeignKey("enrollment.id"), nullable=False),
    _text("contact_id"),
    _text("track"),
    _text("step"),
    _text("channel"),
    _text("status"),
    _text("token"),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    _text("provider_id", nullable=True),
    _text("reason", default=""),
    _text("delivery", nullable=True),
    _text("delivery_reason", default=""),
    _time("delivery_at", nullable=True),
    _time("claimed_at"),
    _time("settled_at", nullable=True),
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
    _text("kind"),
    _text("outcome"),
    _text("reason", default=""),
    _time("done_at", now=True),
)

suppression = Table(
    "suppression",
    metadata,
    _text("channel"),
    _text("address_hash"),
    _text("reason"),
    _time("at", now=True),
    PrimaryKeyConstraint("channel", "address_hash"),
)

api_key = Table(
    "api_key",
    metadata,
    _id("id", primary_key=True),
    Column("key_hash", Text, nullable=False, unique=True),
    _text("name"),
    _time("created_at", now=True),
    _time("revoked_at", nullable=True),
)

crm_contact = Table(
    "crm_contact",
    metadata,
    Column("contact_id", Text, primary_key=True),
    _text("stage", nullable=True),
    _json("fields"),
    _time("updated_at", now=True),
)

crm_note = Table(
    "crm_note",
    metadata,
    _id("id", primary_key=True),
    Column("effect_key", Text, nullable=False, unique=True),
    _text("contact_id"),
    _text("body"),
    _time("created_at", now=True),
    Index("crm_note_by_contact", "contact_id", "id"),
)

crm_task = Table(
    "crm_task",
    metadata,
    _id("id", primary_key=True),
    Column("effect_key", Text, nullable=False, unique=True),
    _text("contact_id"),
    _text("title"),
    _text("owner", nullable=True),
    _time("due_at", nullable=True),
    Column("done", Boolean, nullable=False, server_default=text("false")),
    _time("created_at", now=True),
    Index("crm_task_by_contact", "contact_id", "id"),
)

dropped = Table(
    "dropped",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _text("reason"),
    _text("kind"),
    _text("track", nullable=True),
    Column("count", Integer, nullable=False, server_default=text("1")),
    _time("at", now=True),
)
