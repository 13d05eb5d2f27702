"""Tables of what operators need: API keys, periodic jobs, and the doctor's checkups."""

from __future__ import annotations

from sqlalchemy import Table

from store.schema.tables.columns import integer, jsonb, metadata, string, timestamp, uuid

api_key = Table(
    "api_key",
    metadata,
    uuid("id", primary_key=True),
    string("key_hash", unique=True),
    string("name"),
    timestamp("created_at", now=True),
    timestamp("revoked_at", nullable=True),
)

chore = Table(
    "chore",
    metadata,
    string("name", primary_key=True),
    timestamp("next_at"),
)

checkup = Table(
    "checkup",
    metadata,
    integer("id", primary_key=True),
    timestamp("at"),
    jsonb("counts"),
)
