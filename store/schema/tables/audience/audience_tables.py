"""Tables of segments: what is published, who is a member, and when that is to be looked at again."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import big_integer, boolean, day, integer, jsonb, metadata, string, timestamp

AT_WORK = "('filling', 'telling_entered', 'telling_left', 'clearing')"

segment = Table(
    "segment",
    metadata,
    string("name", primary_key=True),
    integer("latest"),
    integer("live", nullable=True),
)
"""`live` is the version whose members are known and count; none until its first version is filled."""

segment_version = Table(
    "segment_version",
    metadata,
    string("segment", references="segment.name"),
    integer("version"),
    string("source"),
    jsonb("data"),
    string("digest"),
    timestamp("published_at", now=True),
    string("existing", default="ignore"),
    string("state", default="filling"),
    boolean("paused"),
    string("position", default=""),
    big_integer("evaluated", default=0),
    big_integer("not_judged", default=0),
    timestamp("live_at", nullable=True),
    PrimaryKeyConstraint("segment", "version"),
    Index("segment_version_at_work", "state", postgresql_where=text(f"state IN {AT_WORK}")),
)
"""`state`: `filling` (contacts are evaluated one after another; `position` is the last one), `telling_entered` and
`telling_left` (live; those who were members or no longer are when it went live are told), `live`, `clearing` (replaced
or canceled; its memberships are being deleted), `ended`."""

segment_trigger = Table(
    "segment_trigger",
    metadata,
    string("segment"),
    integer("version"),
    string("event"),
    PrimaryKeyConstraint("event", "segment", "version"),
    ForeignKeyConstraint(["segment", "version"], ["segment_version.segment", "segment_version.version"]),
    Index("segment_trigger_of", "segment", "version"),
)
"""The events that may change a version's members; the empty event stands for a new contact and a changed one."""

segment_revisit = Table(
    "segment_revisit",
    metadata,
    string("cause", primary_key=True),
    timestamp("asked_at"),
    string("position", default=""),
)
"""Triggers that concern many contacts at once: another segment's version went live, or a policy was published. Contacts
are evaluated one after another for the versions with that trigger; `position` is the last one."""

membership = Table(
    "membership",
    metadata,
    string("contact_id"),
    string("segment"),
    integer("version"),
    boolean("member"),
    timestamp("since"),
    timestamp("changes_at", nullable=True),
    integer("seq", default=0),
    boolean("told"),
    PrimaryKeyConstraint("contact_id", "segment", "version"),
    Index(
        "membership_members",
        "segment",
        "version",
        "contact_id",
        postgresql_where=text("member"),
        postgresql_ops={"contact_id": 'COLLATE "C"'},
    ),
    Index("membership_due", "changes_at", postgresql_where=text("changes_at IS NOT NULL")),
    Index("membership_of_version", "segment", "version", "contact_id"),
)
"""Whether a contact is a member, since when, and the earliest moment at which that may change by time alone. `seq`
counts the changes that were told. `told`: whether the present state was told, or is not to be told."""

segment_day = Table(
    "segment_day",
    metadata,
    string("segment", references="segment.name"),
    day("day"),
    integer("members"),
    integer("entered"),
    integer("left"),
    PrimaryKeyConstraint("segment", "day"),
)
"""How many members a segment had when it was last counted on a day of UTC, and how many were told as entering or
leaving on that day."""
