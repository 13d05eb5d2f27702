"""The tables of what protects contacts and of what they do with messages, as SQLAlchemy Core sees them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
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

from store.schema.columns import data, metadata, moment, words

policy = Table(
    "policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    words("source"),
    data("data", default=None),
    words("digest"),
    moment("published_at", now=True),
)

consent = Table(
    "consent",
    metadata,
    words("contact_id"),
    words("channel"),
    words("topic", default=""),
    words("status"),
    words("source"),
    words("text_version", default=""),
    moment("at"),
    moment("confirmed_at", nullable=True),
    PrimaryKeyConstraint("contact_id", "channel", "topic"),
)

consent_change = Table(
    "consent_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    words("contact_id"),
    words("channel"),
    words("topic", default=""),
    words("status"),
    words("source"),
    words("text_version", default=""),
    moment("at"),
    Index("consent_change_by_contact", "contact_id", "id"),
)

breaker = Table(
    "breaker",
    metadata,
    Column("scope", Text, primary_key=True),
    words("state"),
    words("cause"),
    words("reason", default=""),
    data("figures"),
    moment("changed_at"),
    moment("until", nullable=True),
    moment("resumed_at", nullable=True),
    moment("next_at", nullable=True),
    moment("free_at", nullable=True),
    Column("per_second", Float(53), nullable=False, server_default=text("1")),
    Column("held", Integer, nullable=False, server_default=text("0")),
)

chore = Table(
    "chore",
    metadata,
    Column("name", Text, primary_key=True),
    moment("next_at"),
)

checkup = Table(
    "checkup",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    moment("at"),
    data("counts"),
)

message_links = Table(
    "message_links",
    metadata,
    Column("message_id", Uuid(as_uuid=False), ForeignKey("message.id"), primary_key=True),
    Column("urls", ARRAY(Text), nullable=False),
)

message_content = Table(
    "message_content",
    metadata,
    Column("message_id", Uuid(as_uuid=False), ForeignKey("message.id"), primary_key=True),
    words("template"),
    Column("template_version", Integer, nullable=False),
    words("locale", nullable=True),
    data("blocks"),
    words("subject_digest", nullable=True),
    data("rendering", nullable=True, default=None),
    moment("kept_until", nullable=True),
    Index("message_content_by_template", "template", "template_version", "message_id"),
    Index("message_content_kept", "kept_until", postgresql_where=text("kept_until IS NOT NULL")),
)

touch = Table(
    "touch",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Uuid(as_uuid=False), ForeignKey("message.id"), nullable=False),
    words("kind"),
    Column("link", Integer, nullable=True),
    words("by"),
    words("why", default=""),
    moment("at"),
    moment("due_at", nullable=True),
    words("event_id", nullable=True),
    Index("touch_by_message", "message_id", "at"),
    Index("touch_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)
