"""Tables of imports. A chunk holds rows as they came, until they are applied."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import (
    big_integer,
    counted_id,
    double,
    integer,
    jsonb,
    metadata,
    string,
    timestamp,
    uuid,
)

import_job = Table(
    "import_job",
    metadata,
    uuid("id", primary_key=True),
    string("track"),
    jsonb("options"),
    string("state"),
    string("reason", default=""),
    string("idempotency_key", nullable=True),
    double("per_second"),
    big_integer("rows", default=0),
    integer("chunks", default=0),
    integer("next_chunk", default=0),
    jsonb("outcomes"),
    double("speed", default=0),
    string("held", default=""),
    integer("news", default=0),
    integer("told", default=0),
    timestamp("created_at"),
    timestamp("heard_at"),
    timestamp("started_at", nullable=True),
    timestamp("ended_at", nullable=True),
    Index("import_job_key", "idempotency_key", unique=True, postgresql_where=text("idempotency_key IS NOT NULL")),
    Index("import_job_open", "id", postgresql_where=text("ended_at IS NULL OR told < news")),
)

import_chunk = Table(
    "import_chunk",
    metadata,
    uuid("import_id", references="import_job.id"),
    integer("number"),
    string("rows"),
    PrimaryKeyConstraint("import_id", "number"),
)

import_problem = Table(
    "import_problem",
    metadata,
    counted_id(),
    uuid("import_id", references="import_job.id"),
    big_integer("line"),
    string("kind"),
    string("contact_id", nullable=True),
    string("field", default=""),
    string("reason"),
    Index("import_problem_by_line", "import_id", "line", "id"),
)
