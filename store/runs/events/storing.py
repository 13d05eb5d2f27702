"""Store events, each once and only for contacts who are not erased, and learn what each of them concerns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import as_json_list, many
from store.runs.events.acceptance import Accepted
from store.runs.events.accepted_event import Event
from store.schema.merged_ids import check_created, survivor_of


@dataclass(frozen=True, slots=True)
class Fresh:
    """An event stored just now, and what its name concerns: a live run (`reacts`), an entry rule (`enters`), a segment
    (`moves`), a score (`scores`). `made`: it also created its contact, and there are segments or scores. `turns`: it
    may end a run and begin the next, so that the contact's events have to be taken one after another. `named`: it may
    begin a run of a track that a segment names."""

    index: int
    event: Event
    reacts: bool
    enters: bool
    moves: bool
    scores: bool
    made: bool
    named: bool
    turns: bool = False

    @property
    def concerns_audience(self) -> bool:
        return self.moves or self.scores or self.made or self.named

    @property
    def at(self) -> datetime:
        assert self.event.occurred_at is not None
        return self.event.occurred_at


async def store_events(
    tx: AsyncConnection,
    events: Sequence[Event],
    indexes: list[int],
    now: datetime,
    results: list[Accepted | None],
    fresh: list[Fresh],
) -> list[int]:
    """Insert these events; returns those to try again, because another transaction was creating their contact."""
    batch = [replace(events[i], occurred_at=events[i].occurred_at or now) for i in indexes]
    rows = await tx.execute(
        _STORE,
        {
            "event_id": [e.event_id for e in batch],
            "contact_id": [e.contact_id for e in batch],
            "name": [e.name for e in batch],
            "properties": as_json_list(e.properties for e in batch),
            "occurred_at": [e.occurred_at for e in batch],
            "now": now,
        },
    )
    again: list[int] = []
    created: set[str] = set()
    for row in rows:
        created |= {row.contact_id} if row.created else set()
        index = indexes[row.ord - 1]
        if row.fresh:
            event = replace(batch[row.ord - 1], contact_id=row.contact_id)
            fresh.append(
                Fresh(index, event, row.reacts, row.enters, row.moves, row.scores, row.made, row.named, row.turns)
            )
        elif row.known:
            merged = row.contact_id != batch[row.ord - 1].contact_id
            results[index] = Accepted(duplicate=True, merged_into=row.contact_id if merged else None)
        elif row.erased:
            results[index] = Accepted(erased=True)
        else:
            again.append(index)
    await check_created(tx, sorted(created))
    return sorted(again)


_INPUT = many("i", event_id="text", contact_id="text", name="text", properties="text", occurred_at="timestamptz")
# The contact is locked (FOR KEY SHARE, as a foreign key would), so that no erasure happens in between. Rows are
# inserted in the order of their ids, so that two batches with the same events cannot deadlock. A contact who is merged
# while this waits for the lock is not held then: the event is tried again, and finds the survivor.
_STORE = text(f"""
    WITH input AS (
        SELECT i.event_id, {survivor_of("i.contact_id")} AS contact_id, i.name, i.properties, i.occurred_at, i.ord
        FROM {_INPUT}
    ),
    held AS (
        SELECT id FROM contact WHERE id IN (SELECT contact_id FROM input) ORDER BY id FOR KEY SHARE
    ),
    stub AS (
        INSERT INTO contact (id, created_at, updated_at)
        SELECT DISTINCT i.contact_id, CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM input i
        WHERE NOT EXISTS (SELECT 1 FROM contact c WHERE c.id = i.contact_id)
            AND NOT EXISTS (SELECT 1 FROM erasure x WHERE x.contact_id = i.contact_id)
        ORDER BY 1
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ),
    person AS (SELECT id FROM held UNION ALL SELECT id FROM stub),
    stored AS (
        INSERT INTO event (event_id, contact_id, name, properties, occurred_at, received_at)
        SELECT i.event_id, i.contact_id, i.name, i.properties::jsonb, i.occurred_at, :now
        FROM input i JOIN person p ON p.id = i.contact_id ORDER BY i.event_id
        ON CONFLICT (event_id) DO NOTHING
        RETURNING event_id
    )
    SELECT i.ord, i.contact_id, s.event_id IS NOT NULL AS fresh, p.id IS NOT NULL AS known,
        EXISTS (SELECT 1 FROM erasure x WHERE x.contact_id = i.contact_id) AS erased,
        EXISTS (
            SELECT 1 FROM enrollment e
            JOIN interest n ON n.track = e.track AND n.version = e.version AND n.event = i.name
            WHERE e.contact_id = i.contact_id AND e.ended_at IS NULL
        ) AS reacts,
        n.turns IS NOT NULL AS enters, coalesce(n.turns, false) AS turns,
        EXISTS (SELECT 1 FROM segment_trigger g WHERE g.event = i.name) AS moves,
        EXISTS (SELECT 1 FROM score_trigger g WHERE g.event = i.name) AS scores, m.id IS NOT NULL AS created,
        EXISTS (
            SELECT 1 FROM entry_rule r JOIN segment_trigger g ON g.event = E'on\\n' || r.track WHERE r.event = i.name
        ) AS named,
        m.id IS NOT NULL AND (EXISTS (SELECT 1 FROM segment_trigger) OR EXISTS (SELECT 1 FROM score_trigger)) AS made
    FROM input i LEFT JOIN stored s ON s.event_id = i.event_id LEFT JOIN person p ON p.id = i.contact_id
        LEFT JOIN stub m ON m.id = i.contact_id
        CROSS JOIN LATERAL (SELECT bool_or(also_goal) AS turns FROM entry_rule WHERE event = i.name) n
    ORDER BY i.ord
""")
