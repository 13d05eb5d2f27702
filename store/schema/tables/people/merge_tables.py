"""Tables of merged contacts: which id stands for which, and what a merge moved, so that it can be undone."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import counted_id, jsonb, metadata, string, timestamp, uuid

merged_id = Table(
    "merged_id",
    metadata,
    string("id", primary_key=True),
    string("contact_id"),
    Index("merged_id_of", "contact_id"),
)
"""An id that was merged, and the contact that it stands for now. After a chain of merges this is the last contact, so
that one look resolves any id. No contact has an id of this table."""

contact_merge = Table(
    "contact_merge",
    metadata,
    uuid("id", primary_key=True),
    string("contact_id"),
    string("merged_id"),
    string("merged_by"),
    timestamp("merged_at"),
    string("undone_by", nullable=True),
    timestamp("undone_at", nullable=True),
    jsonb("former", nullable=True, default=None),
    jsonb("changes"),
    Index("contact_merge_of", "contact_id", "id"),
    Index("contact_merge_from", "merged_id", "id"),
    Index("contact_merge_kept", "merged_at", postgresql_where=text("former IS NOT NULL")),
)
"""Who merged `merged_id` into `contact_id`, and when. `former` is the merged contact as it was: it is kept as long as
the merge can be undone. `changes` names what the merge changed of the survivor; it holds no personal data."""

merge_moved = Table(
    "merge_moved",
    metadata,
    uuid("merge_id", references="contact_merge.id"),
    string("part"),
    string("row_id"),
    PrimaryKeyConstraint("merge_id", "part", "row_id"),
)
"""The ids of the rows that a merge moved (`part` is their table), and of those that it changed otherwise. They are
deleted when the merge can no longer be undone."""

former_address = Table(
    "former_address",
    metadata,
    counted_id(),
    string("contact_id"),
    string("channel"),
    string("address_hash"),
    Index("former_address_of", "contact_id"),
    Index("former_address_hash", "address_hash"),
)
"""The hash of an address that a merged contact had: whoever is named by it is the survivor,
and it is suppressed when the survivor is erased."""
