"""Tables of what is published: tracks, templates and the policy, each with all its versions."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import boolean, integer, jsonb, metadata, string, string_array, timestamp

track = Table(
    "track",
    metadata,
    string("name", primary_key=True),
    integer("latest"),
    string("entry_event", nullable=True),
    jsonb("rules"),
    timestamp("published_at", now=True),
    Index("track_entry", "entry_event", postgresql_where=text("entry_event IS NOT NULL")),
)

entry_rule = Table(
    "entry_rule",
    metadata,
    string("track", references="track.name"),
    integer("position"),
    string("event"),
    string("date", nullable=True),
    boolean("also_goal"),
    PrimaryKeyConstraint("track", "position"),
    Index("entry_rule_by_event", "event", "track"),
)
"""By which events the newest version of a track is entered. `date`: the name of the date whose moments these are.
`also_goal`: the event is the track's goal too, so that events of one contact have to take turns.
`track.entry_event` is the first of them, for earlier releases."""

track_version = Table(
    "track_version",
    metadata,
    string("track", references="track.name"),
    integer("version"),
    string("source"),
    jsonb("data", default=None),
    jsonb("compiled", default=None),
    string("digest"),
    string_array("attributes"),
    timestamp("published_at", now=True),
    PrimaryKeyConstraint("track", "version"),
)

interest = Table(
    "interest",
    metadata,
    string("track"),
    integer("version"),
    string("event"),
    PrimaryKeyConstraint("track", "version", "event"),
    ForeignKeyConstraint(["track", "version"], ["track_version.track", "track_version.version"]),
)

template = Table(
    "template",
    metadata,
    string("name", primary_key=True),
    integer("latest"),
)

template_version = Table(
    "template_version",
    metadata,
    string("template", references="template.name"),
    integer("version"),
    string("kind"),
    string("source"),
    jsonb("data"),
    string("digest"),
    timestamp("published_at", now=True),
    PrimaryKeyConstraint("template", "version"),
)

policy = Table(
    "policy",
    metadata,
    integer("version", primary_key=True),
    string("source"),
    jsonb("data", default=None),
    string("digest"),
    timestamp("published_at", now=True),
)
