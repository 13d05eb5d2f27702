"""Tables of the leads that tracks hand over to sales, and of whose turn it is."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, text

from store.schema.tables.columns import big_integer, boolean, integer, jsonb, metadata, string, timestamp, uuid

handoff = Table(
    "handoff",
    metadata,
    uuid("id", primary_key=True),
    string("effect_key", unique=True),
    string("contact_id"),
    uuid("enrollment_id", references="enrollment.id"),
    integer("seq"),
    string("track"),
    string("step"),
    string("team"),
    string("salesperson"),
    string("reason"),
    string("summary"),
    jsonb("scores", nullable=True, default=None),
    string("status"),
    timestamp("at"),
    timestamp("due_at"),
    timestamp("answered_at", nullable=True),
    string("answer_reason", default=""),
    string("answered_by", default=""),
    string("crm_task_id", nullable=True),
    jsonb("late_answers", default="[]"),
    timestamp("task_update_at", nullable=True),
    integer("task_update_attempts", default=0),
    string("task_fault", default=""),
    timestamp("mail_at", nullable=True),
    integer("mail_attempts", default=0),
    boolean("explored"),
    Index("handoff_by_contact", "contact_id", "id"),
    Index("handoff_by_status", "status", "id"),
    Index("handoff_by_salesperson", "salesperson", "id"),
    Index("handoff_by_task", "crm_task_id", postgresql_where=text("crm_task_id IS NOT NULL")),
    Index("handoff_mail", "mail_at", postgresql_where=text("mail_at IS NOT NULL")),
    Index("handoff_task_update", "task_update_at", postgresql_where=text("task_update_at IS NOT NULL")),
    Index("handoff_waiting", "due_at", postgresql_where=text("status = 'waiting'")),
)

handoff_turn = Table(
    "handoff_turn",
    metadata,
    string("team"),
    string("salesperson"),
    big_integer("turn"),
    PrimaryKeyConstraint("team", "salesperson"),
)
