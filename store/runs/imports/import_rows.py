"""The rows of imports: received in chunks, taken one chunk at a time, and what was wrong with some.

A chunk is deleted in the transaction that applies it, so that each row is applied once, whatever dies in between.
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
"""The line on which a row begins, from 1, and the row: the values of CSV, the text of JSON Lines."""
ProblemKind = Literal["bad", "erased", "refused"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row did not enrol anybody. `bad`: the row itself. A row may have several, but is counted once.

    `field` is the column or the JSON pointer. Nothing of the row is kept but the contact's id.
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
    """Keep rows, the first chunk of them as the `number`th; False where the import has been given up meanwhile."""
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
    """A chunk that waits, or None where it does not (any more)."""
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
    """The chunk that was next has been applied, in this transaction: count it, delete it, and complete the last.

    `job` is locked, and as it was before.
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
    """Nothing waits any more: the import is done."""
    row = await tx.execute(_COMPLETE, {"id": job.id, "now": now or utc_now()})
    return read_row(Import, row.mappings().one())


async def hold(tx: AsyncConnection, import_id: str, why: str, *, now: datetime | None = None) -> None:
    """The import gives way to something: say what."""
    await tx.execute(_HOLD, {"id": import_id, "why": why, "now": now or utc_now()})


async def note(tx: AsyncConnection, import_id: str, problems: Sequence[Problem]) -> None:
    """Keep what is wrong with rows."""
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
    """Problems by line, after a position (line, id); each with its id."""
    given = {"id": import_id, "line": after[0], "after": after[1], "limit": limit}
    return [
        (row.id, Problem(row.line, row.kind, row.reason, row.field, row.contact_id))
        for row in await tx.execute(_PROBLEMS, given)
    ]


_NEWEST = 0.2
"""How much the newest chunk says about the speed."""
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
