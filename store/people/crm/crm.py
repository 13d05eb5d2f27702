"""The built-in CRM: a stage, fields, notes and tasks per contact. Erasing the contact deletes all of it.

Here is what tracks write, and the whole card of a contact. `crm_changes` is what people change, `crm_tasks` the tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import as_json, utc_now
from store.schema.tables.people import crm_tables as tables

MOST = 200
"""How many notes, and how many tasks, of a contact are read."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task for a salesperson; `due_at` in real time."""

    title: str
    owner: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A note about a contact. `author` is the salesperson; None for a note of a track."""

    body: str
    created_at: datetime
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task about a contact."""

    title: str
    owner: str | None
    due_at: datetime | None
    done: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """What the CRM holds about a contact; notes and tasks oldest first, at most the last `MOST` of each."""

    contact_id: str
    stage: str | None
    fields: Mapping[str, Any]
    notes: tuple[Note, ...]
    tasks: tuple[Task, ...]


async def apply(
    tx: AsyncConnection,
    contact_id: str,
    effect_key: str,
    *,
    stage: str | None = None,
    fields: Mapping[str, Any] | None = None,
    note: str | None = None,
    task: NewTask | None = None,
    now: datetime | None = None,
) -> None:
    """Set the stage (unless None), merge fields (a None value removes one), add a note and a task.

    A repeated effect key adds no second note or task. Nothing is written about an erased contact.
    """
    values = {
        "contact": contact_id,
        "key": effect_key,
        "stage": stage,
        "fields": as_json({name: value for name, value in (fields or {}).items() if value is not None}),
        "removed": [name for name, value in (fields or {}).items() if value is None],
        "note_id": new_id(),
        "note": note,
        "task_id": new_id(),
        "title": task.title if task else None,
        "owner": task.owner if task else None,
        "due": task.due_at if task else None,
        "now": now or utc_now(),
    }
    await tx.execute(_APPLY, values)


async def get(tx: AsyncConnection, contact_id: str) -> Card | None:
    """The contact's data in the CRM, or None if there is none."""
    card, note, task = tables.crm_contact, tables.crm_note, tables.crm_task
    row = (await tx.execute(select(card.c.stage, card.c.fields).where(card.c.contact_id == contact_id))).first()
    if row is None:
        return None
    notes = await tx.execute(
        select(note.c.body, note.c.created_at, note.c.author)
        .where(note.c.contact_id == contact_id)
        .order_by(note.c.id.desc())
        .limit(MOST)
    )
    tasks = await tx.execute(
        select(task.c.title, task.c.owner, task.c.due_at, task.c.done, task.c.created_at)
        .where(task.c.contact_id == contact_id)
        .order_by(task.c.id.desc())
        .limit(MOST)
    )
    newest = tuple(Note(*one) for one in notes), tuple(Task(*one) for one in tasks)
    return Card(contact_id, row.stage, row.fields, newest[0][::-1], newest[1][::-1])


_APPLY = text("""
    WITH person AS (SELECT id FROM contact WHERE id = :contact FOR KEY SHARE),
    card AS (
        INSERT INTO crm_contact AS c (contact_id, stage, fields, updated_at)
        SELECT id, :stage, CAST(:fields AS jsonb), :now FROM person
        ON CONFLICT (contact_id) DO UPDATE SET stage = coalesce(excluded.stage, c.stage),
            fields = (c.fields || excluded.fields) - CAST(:removed AS text[]), updated_at = excluded.updated_at
    ),
    noted AS (
        INSERT INTO crm_note (id, effect_key, contact_id, body, created_at)
        SELECT :note_id, :key, id, :note, :now FROM person WHERE CAST(:note AS text) IS NOT NULL
        ON CONFLICT (effect_key) DO NOTHING
    )
    INSERT INTO crm_task (id, effect_key, contact_id, title, owner, due_at, created_at)
    SELECT :task_id, :key, id, :title, :owner, CAST(:due AS timestamptz), :now FROM person
    WHERE CAST(:title AS text) IS NOT NULL
    ON CONFLICT (effect_key) DO NOTHING
""")
