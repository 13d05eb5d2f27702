"""The tables of imports as SQLAlchemy Core sees them. A chunk holds rows as they came, until they are applied."""

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
    Uuid,
    text,
)

from store.schema.columns import data, identity, metadata, moment, words

import_job = Table(
    "import_job",
    metadata,
    identity("id", primary_key=True),
    words("track"),
    data("options"),
    words("state"),
    words("reason", default=""),
    words("idempotency_key", nullable=True),
    Column("per_second", Float(53), nullable=False),
    Column("rows", BigInteger, nullable=False, server_default=text("0")),
    Column("chunks", Integer, nullable=False, server_default=text("0")),
    Column("next_chunk", Integer, nullable=False, server_default=text("0")),
    data("outcomes"),
    Column("speed", Float(53), nullable=False, server_default=text("0")),
    words("held", default=""),
    Column("news", Integer, nullable=False, server_default=text("0")),
    Column("told", Integer, nullable=False, server_default=text("0")),
    moment("created_at"),
    moment("heard_at"),
    moment("started_at", nullable=True),
    moment("ended_at", nullable=True),
    Index("import_job_key", "idempotency_key", unique=True, postgresql_where=text("idempotency_key IS NOT NULL")),
    Index("import_job_open", "id", postgresql_where=text("ended_at IS NULL OR told < news")),
)

import_chunk = Table(
    "import_chunk",
    metadata,
    Column("import_id", Uuid(as_uuid=False), ForeignKey("import_job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    words("rows"),
    PrimaryKeyConstraint("import_id", "number"),
)

import_problem = Table(
    "import_problem",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("import_id", Uuid(as_uuid=False), ForeignKey("import_job.id"), nullable=False),
    Column("line", BigInteger, nullable=False),
    words("kind"),
    words("contact_id", nullable=True),
    words("field", default=""),
    words("reason"),
    Index("import_problem_by_line", "import_id", "line", "id"),
)
