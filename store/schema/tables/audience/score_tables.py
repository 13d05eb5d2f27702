"""Tables of scores: what is published, and each contact's score and grade."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import big_integer, boolean, day, double, integer, jsonb, metadata, string, timestamp

AT_WORK = "('filling', 'switching', 'clearing')"

score = Table(
    "score",
    metadata,
    string("name", primary_key=True),
    integer("latest"),
    integer("live", nullable=True),
)
"""`live` is the version whose grades count; none until its first version is filled."""

score_version = Table(
    "score_version",
    metadata,
    string("score", references="score.name"),
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
    PrimaryKeyConstraint("score", "version"),
    Index("score_version_at_work", "state", postgresql_where=text(f"state IN {AT_WORK}")),
)
"""`state`: `filling` (contacts are evaluated one after another; `position` is the last one), `switching` (live;
contacts whose grade is another one by this version are told, and the segments about it are brought up to date), `live`,
`clearing` (replaced or canceled; its values are being deleted), `ended`."""

score_trigger = Table(
    "score_trigger",
    metadata,
    string("score"),
    integer("version"),
    string("event"),
    PrimaryKeyConstraint("event", "score", "version"),
    ForeignKeyConstraint(["score", "version"], ["score_version.score", "score_version.version"]),
    Index("score_trigger_of", "score", "version"),
)
"""The events that may change a version's values; the empty event stands for a new contact and a changed one."""

score_value = Table(
    "score_value",
    metadata,
    string("contact_id"),
    string("score"),
    integer("version"),
    double("value"),
    timestamp("at"),
    jsonb("course"),
    string("grade"),
    timestamp("since"),
    timestamp("changes_at", nullable=True),
    integer("seq", default=0),
    string("untold", nullable=True),
    PrimaryKeyConstraint("contact_id", "score", "version"),
    Index(
        "score_value_grades",
        "score",
        "version",
        "grade",
        "contact_id",
        postgresql_ops={"contact_id": 'COLLATE "C"'},
    ),
    Index("score_value_due", "changes_at", postgresql_where=text("changes_at IS NOT NULL")),
    Index("score_value_of_version", "score", "version", "contact_id", postgresql_ops={"contact_id": 'COLLATE "C"'}),
)
"""A contact's score: `value` at the moment `at`, and its course from then on (`audience.scores.points.course`), with
what the rules have counted (`audience.scores.tally`); the grade, since when, and the earliest moment at which
the score is to be evaluated again if nothing else happens. `seq` counts the changes of the grade that were told.
`untold`: the grade before this version counted, until it is dealt with that it is another one now."""

score_day = Table(
    "score_day",
    metadata,
    string("score", references="score.name"),
    day("day"),
    string("grade"),
    integer("contacts"),
    integer("entered"),
    integer("left"),
    PrimaryKeyConstraint("score", "day", "grade"),
)
"""How many contacts had a grade when it was last counted on a day of UTC, and how many were told as coming to it or
leaving it on that day."""
