"""Tables of the webhooks that segments are sent on to: the destinations, and what each knows of which contact."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Sequence, Table, text

from store.schema.tables.columns import (
    big_integer,
    boolean,
    counted_id,
    double,
    integer,
    metadata,
    string,
    string_array,
    timestamp,
)

segment_webhook_seq = Sequence("segment_webhook_seq", metadata=metadata)

segment_webhook = Table(
    "segment_webhook",
    metadata,
    counted_id(),
    string("segment", references="segment.name"),
    string("name"),
    string("url"),
    string_array("fields"),
    string_array("changes", empty=True),
    integer("batch"),
    double("wait"),
    string("secret"),
    timestamp("created_at", now=True),
    string("paused", default=""),
    timestamp("paused_at", nullable=True),
    timestamp("failing_since", nullable=True),
    integer("failures", default=0),
    string("last_error", default=""),
    timestamp("next_attempt_at", now=True),
    timestamp("leased_until", nullable=True),
    timestamp("delivered_at", nullable=True),
    big_integer("delivered", default=0),
    string("comparing", default=""),
    big_integer("fence", default=0),
    string("position", default=""),
    big_integer("from_seq", default=0),
    big_integer("until_seq", default=0),
    Index("segment_webhook_name", "segment", "name", unique=True, postgresql_where=text("comparing <> 'removal'")),
)
"""A webhook of a segment. `changes` are the fields whose change alone is sent. `wait` is in seconds. `paused`: `by
hand`, `gone` (it answered 410) or `failing` (for too long). `leased_until`: a process is calling it until then.

`comparing`: all contacts are gone through. `differences` queues those whose membership is not what the receiver was
told, `all` queues all members, `removal` deletes what is kept of them. It begins when all transactions up to the
transaction id `fence` have ended; `position` is the last contact. A full send queues its members with numbers after
`from_seq`, and is complete when all numbers before `until_seq` are delivered."""

segment_webhook_contact = Table(
    "segment_webhook_contact",
    metadata,
    string("contact_id"),
    big_integer("webhook"),
    boolean("member"),
    timestamp("since"),
    big_integer("seq"),
    timestamp("queued_at"),
    boolean("waiting"),
    boolean("tried"),
    boolean("erased"),
    boolean("changed"),
    string("fingerprint", default=""),
    PrimaryKeyConstraint("contact_id", "webhook"),
    Index("segment_webhook_contact_waiting", "webhook", "seq", postgresql_where=text("waiting")),
    Index(
        "segment_webhook_contact_order",
        "webhook",
        "contact_id",
        postgresql_ops={"contact_id": 'COLLATE "C"'},
    ),
)
"""What a webhook was told or is to be told of a contact: the newest state alone, so that what waits is never more than
one row per contact. `seq` grows with each change of the contact. `tried`: some state of it may have been received.
`changed`: it waits for a changed field alone. `fingerprint`: a hash of the fields of `changes` as they were when it was
last queued; empty where the webhook has none."""
