"""The rows of imports: received in chunks, applied one chunk at a time, with the problems of some.

The transaction that applies a chunk also deletes it, so each row is applied exactly once, even after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import as_json, many, utc_now
from store.runs.imports.imports import Import
from store.schema.rows import read_row

Raw = tuple[int, str | list[str]]
"""The line on which a row begins, from 1, and the row: a list of values for CSV, a text for JSON Lines."""
ProblemKind = Literal["bad", "erased", "refused"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row did not enrol anybody. `bad`: the row is invalid. A row may have several problems; it counts once.

    `field` is the column or the JSON pointer. Of the row's data only the contact's id is stored.
    """

    line: int
    kind: ProblemKind
    reason: str
    field: str = ""
    contact_id: str | None = None


async def receive(
    tx: AsyncConnection,
    import_id: str,
    number: int,
    chunks: Sequence[Sequence[Raw]],
    problems: Sequence[Problem] = (),
    *,
    now: datetime | None = None,
) -> bool:
    """Store received rows; the first chunk gets `number`. Returns False if the import was given up in the meantime."""
    bad = len({problem.line for problem in problems})
    given = {
        "id": import_id,
        "rows": sum(map(len, chunks)) + bad,
        "chunks": len(chunks),
        "bad": bad,
        "now": now or utc_now(),
    }
    if (await tx.execute(_RECEIVING, given)).first() is None:
        return False
    if chunks:
        numbers = list(range(number, number + len(chunks)))
        await tx.execute(_KEEP, {"id": import_id, "number": numbers, "rows": [as_json(chunk) for chunk in chunks]})
    await note(tx, import_id, problems)
    return True


async def read_chunk(tx: AsyncConnection, import_id: str, number: int) -> list[Raw] | None:
    """A chunk that is not applied yet, or None."""
    found = (await tx.execute(_READ, {"id": import_id, "number": number})).scalar()
    return None if found is None else [(line, row) for line, row in json.loads(found)]


async def applied(
    tx: AsyncConnection,
    job: Import,
    outcomes: Mapping[str, int],
    problems: Sequence[Problem],
    *,
    now: datetime | None = None,
) -> Import:
    """Record that this transaction applied the next chunk: count it, delete it, and complete the import if it was last.

    `job` is locked; it has the state before the chunk.
    """
    now = now or utc_now()
    await note(tx, job.id, problems)
    merged = {name: job.outcomes.get(name, 0) + outcomes.get(name, 0) for name in {*job.outcomes, *outcomes}}
    rows = sum(outcomes.values())
    took = max((now - job.heard_at).total_seconds(), 0.001)
    speed = rows / took if job.speed == 0 else job.speed + (rows / took - job.speed) * _NEWEST
    done = await tx.execute(
        _APPLIED, {"id": job.id, "number": job.next_chunk, "outcomes": as_json(merged), "speed": speed, "now": now}
    )
    return read_row(Import, done.mappings().one())


async def complete(tx: AsyncConnection, job: Import, *, now: datetime | None = None) -> Import:
    """Complete an import that has no more rows."""
    row = await tx.execute(_COMPLETE, {"id": job.id, "now": now or utc_now()})
    return read_row(Import, row.mappings().one())


async def hold(tx: AsyncConnection, import_id: str, why: str, *, now: datetime | None = None) -> None:
    """Record what the import waits for."""
    await tx.execute(_HOLD, {"id": import_id, "why": why, "now": now or utc_now()})


async def note(tx: AsyncConnection, import_id: str, problems: Sequence[Problem]) -> None:
    """Store the problems of rows."""
    if problems:
        await tx.execute(
            _NOTE,
            {
                "id": import_id,
                "line": [problem.line for problem in problems],
                "kind": [problem.kind for problem in problems],
                "contact_id": [problem.contact_id for problem in problems],
                "field": [problem.field for problem in problems],
                "reason": [problem.reason for problem in problems],
            },
        )


async def problems_after(
    tx: AsyncConnection, import_id: str, after: tuple[int, int] = (0, 0), limit: int = 1000
) -> list[tuple[int, Problem]]:
    """Problems by line, those after a position (line, id); each with its id."""
    given = {"id": import_id, "line": after[0], "after": after[1], "limit": limit}
    return [
        (row.id, Problem(row.line, row.kind, row.reason, row.field, row.contact_id))
        for row in await tx.execute(_PROBLEMS, given)
    ]


_NEWEST = 0.2
"""The weight of the newest chunk in the moving average of the speed."""
_RECEIVING = text("""
    UPDATE import_job SET rows = rows + :rows, chunks = chunks + :chunks, heard_at = :now,
        outcomes = CASE WHEN :bad = 0 THEN outcomes ELSE jsonb_set(
            outcomes, '{bad}', to_jsonb(coalesce(CAST(outcomes ->> 'bad' AS bigint), 0) + :bad)) END
    WHERE id = :id AND state = 'receiving'
    RETURNING id
""")
_KEEP = text(f"""
    INSERT INTO import_chunk (import_id, number, rows) SELECT :id, c.number, c.rows FROM {
    many("c", number="int", rows="text")
}
""")
_READ = text("SELECT rows FROM import_chunk WHERE import_id = :id AND number = :number")
_APPLIED = text("""
    WITH gone AS (DELETE FROM import_chunk WHERE import_id = :id AND number = :number)
    UPDATE import_job SET next_chunk = next_chunk + 1, outcomes = CAST(:outcomes AS jsonb), speed = :speed,
        heard_at = :now, held = '', state = CASE WHEN next_chunk + 1 >= chunks THEN 'completed' ELSE state END,
        ended_at = CASE WHEN next_chunk + 1 >= chunks THEN CAST(:now AS timestamptz) END
    WHERE id = :id
    RETURNING *
""")
_COMPLETE = text("""
    UPDATE import_job SET state = 'completed', ended_at = :now, heard_at = :now, held = '' WHERE id = :id RETURNING *
""")
_HOLD = text("UPDATE import_job SET held = :why, heard_at = :now, speed = 0 WHERE id = :id AND state = 'running'")
_NOTE = text(f"""
    INSERT INTO import_problem (import_id, line, kind, contact_id, field, reason)
    SELECT :id, p.line, p.kind, p.contact_id, p.field, p.reason
    FROM {many("p", line="bigint", kind="text", contact_id="text", field="text", reason="text")} ORDER BY p.ord
""")
_PROBLEMS = text("""
    SELECT id, line, kind, reason, field, contact_id FROM import_problem
    WHERE import_id = :id AND (line, id) > (:line, :after) ORDER BY line, id LIMIT :limit
""")
