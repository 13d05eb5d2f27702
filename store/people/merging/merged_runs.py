"""Make the enrollments of two contacts those of one: who keeps a slot, which run ends, what was sent already.

A run finds its contact by its enrollment, each time that it acts. So a live run goes on for the survivor when its
enrollment moves; its workflow keeps its id, and nothing in its history changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import any_of, many
from store.people.merging import moved_rows
from store.runs.enrollments import enrollments
from store.schema.merge_reasons import SENT_ALREADY, UNDER_WAY

ENDED = "merged"
"""The reason of a run that ends because the other contact's run of the same track goes on."""
MESSAGES, EFFECTS = "message skipped", "effect skipped"
"""The names under which changed rows are noted."""


class _Run(NamedTuple):
    id: str
    track: str
    key: str
    contact_id: str
    slot: str
    created_at: datetime
    ended_at: datetime | None
    over: bool

    @property
    def going(self) -> bool:
        """Whether it may still act."""
        return self.ended_at is None and not self.over


@dataclass(frozen=True, slots=True)
class Joined:
    """The live runs that go on, by the contact who had them, and those that end."""

    of_survivor: Sequence[str]
    of_merged: Sequence[str]
    ended: Sequence[str]


async def join(tx: AsyncConnection, merge_id: str, survivor: str, merged: str, now: datetime) -> Joined:
    """Prepare the enrollments of both contacts for moving to one; the contacts are locked."""
    both = {"ids": [survivor, merged]}
    runs = [_Run._make(row) for row in await tx.execute(_RUNS, both)]
    giving_way = _giving_way(runs)
    await tx.execute(_LEAVE_SLOT, {"ids": [run.id for run in giving_way]})
    ended = [run.id for run in giving_way if run.going]
    live = [run for run in runs if run.going and run.id not in ended]
    await _sent_already(tx, merge_id, [run.id for run in live], both["ids"], now)
    for run_id in ended:
        await enrollments.request_end(tx, run_id, ENDED, now=now)
    return Joined(
        [run.id for run in live if run.contact_id == survivor],
        [run.id for run in live if run.contact_id == merged],
        ended,
    )


async def part(tx: AsyncConnection, merge_id: str) -> None:
    """Undo what `join` did, before the enrollments are given back. Runs that ended stay ended."""
    reasons = {"reason": SENT_ALREADY, "waits": UNDER_WAY}
    await tx.execute(_FORGET_MESSAGES, {"merge": merge_id, "part": MESSAGES, **reasons})
    await tx.execute(_FORGET_EFFECTS, {"merge": merge_id, "part": EFFECTS, "reason": SENT_ALREADY})


async def give_back(tx: AsyncConnection, merge_id: str, merged: str, survivor: str) -> None:
    """After the enrollments were given back: their new messages follow them, and free slots are taken again."""
    await tx.execute(_FOLLOW, {"merge": merge_id, "from": merged, "into": survivor})
    await tx.execute(_TAKE_SLOTS, {"ids": [merged, survivor]})


def _giving_way(runs: Sequence[_Run]) -> list[_Run]:
    """The enrollments that leave their slot to the other contact's.

    A run that goes on keeps it, of two the older one. Of two that have ended the one that ended last keeps it, because
    the re-entry rule counts from its end.
    """
    holders: dict[tuple[str, str], list[_Run]] = {}
    for run in runs:
        if run.slot == "":
            holders.setdefault((run.track, run.key), []).append(run)
    return [run for pair in holders.values() for run in sorted(pair, key=_claim)[1:]]


def _claim(run: _Run) -> tuple[int, float, str]:
    if run.ended_at is not None:
        return (2, -run.ended_at.timestamp(), run.id)
    return (0 if run.going else 1, run.created_at.timestamp(), run.id)


async def _sent_already(
    tx: AsyncConnection, merge_id: str, live: Sequence[str], both: Sequence[str], now: datetime
) -> None:
    """Settle the steps of live runs that the other contact's runs of the same track have done: nothing is sent twice.

    It counts what a run sent that was live, and for thirty days what one sent that has ended. Where such a message is
    still under way, the step waits until it is known (`store.sending.merged_twins`).
    """
    if not live:
        return
    asked = {"live": list(live), "both": list(both), "now": now}
    found = (await tx.execute(_SENT, asked)).all()
    values = {name: [getattr(row, name) for row in found] for name in _SKIPPED}
    ids = [new_id() for _ in found]
    asked_for = {**values, "id": ids, "sent": SENT_ALREADY, "waits": UNDER_WAY, "now": now}
    rows = await tx.execute(_SKIP, asked_for) if found else ()
    await moved_rows.note(tx, merge_id, MESSAGES, [row.id for row in rows if row.id in ids])
    done = (await tx.execute(_DONE, {**asked, "reason": SENT_ALREADY})).scalars().all()
    await moved_rows.note(tx, merge_id, EFFECTS, done)


_RUNS = text(f"""
    SELECT id::text, track, key, contact_id, slot, created_at, ended_at,
        goal_reached_at IS NOT NULL OR exit_reached_at IS NOT NULL AS over
    FROM enrollment WHERE contact_id = {any_of("ids")} ORDER BY id FOR NO KEY UPDATE
""")
_LEAVE_SLOT = text(f"UPDATE enrollment SET slot = id::text WHERE id = {any_of('ids', 'uuid')}")
_OTHERS = f"""
    FROM enrollment l JOIN enrollment o ON o.track = l.track AND o.contact_id = {any_of("both")} AND o.key = l.key
        AND o.contact_id <> l.contact_id
"""
_LATELY = "(o.ended_at IS NULL OR {at} > CAST(:now AS timestamptz) - interval '30 days' / l.pace)"
_SKIPPED = {
    "effect_key": "text",
    "enrollment_id": "uuid",
    "contact_id": "text",
    "track": "text",
    "step": "text",
    "channel": "text",
    "topic": "text",
    "transactional": "bool",
    "priority": "int",
    "pace": "float8",
    "recipient": "text",
    "known": "bool",
}
_SENT = text(f"""
    SELECT DISTINCT ON (1) l.id || substr(m.effect_key, 37) AS effect_key, l.id::text AS enrollment_id, l.contact_id,
        l.track, m.step, m.channel, m.topic, m.transactional, m.priority, l.pace, m.recipient,
        m.status = 'sent' AS known
    {_OTHERS} JOIN message m ON m.enrollment_id = o.id
    WHERE l.id = {any_of("live", "uuid")} AND m.status IN ('sending', 'sent', 'unknown')
        AND {_LATELY.format(at="m.claimed_at")}
    ORDER BY 1, known DESC
""")
_COPIED = [name for name in _SKIPPED if name != "known"]
_NAMES = ", ".join(_COPIED)
_SKIP = text(f"""
    INSERT INTO message AS m (id, {_NAMES}, status, token, reason, claimed_at, settled_at, due_at)
    SELECT i.id, {", ".join(f"i.{name}" for name in _COPIED)}, CASE WHEN i.known THEN 'skipped' ELSE 'deferred' END, '',
        CASE WHEN i.known THEN :sent ELSE :waits END, CAST(:now AS timestamptz),
        CASE WHEN i.known THEN CAST(:now AS timestamptz) END, CASE WHEN NOT i.known THEN CAST(:now AS timestamptz) END
    FROM {many("i", id="uuid", **_SKIPPED)} ORDER BY i.effect_key
    ON CONFLICT (effect_key) DO UPDATE SET status = excluded.status, reason = excluded.reason,
        settled_at = excluded.settled_at, due_at = excluded.due_at
    WHERE m.status IN ('released', 'deferred')
    RETURNING id::text
""")
_DONE = text(f"""
    INSERT INTO effect (effect_key, enrollment_id, kind, outcome, reason, done_at)
    SELECT DISTINCT ON (1) l.id || substr(f.effect_key, 37), l.id, f.kind, 'skipped', :reason, CAST(:now AS timestamptz)
    {_OTHERS} JOIN effect f ON f.enrollment_id = o.id
    WHERE l.id = {any_of("live", "uuid")} AND f.kind IN ('crm', 'webhook') AND f.outcome = 'done'
        AND {_LATELY.format(at="f.done_at")}
    ORDER BY 1
    ON CONFLICT (effect_key) DO NOTHING RETURNING effect_key
""")
_FORGET_MESSAGES = text("""
    DELETE FROM message m USING merge_moved v
    WHERE v.merge_id = CAST(:merge AS uuid) AND v.part = :part AND m.id = CAST(v.row_id AS uuid)
        AND (m.status = 'skipped' AND m.reason = :reason OR m.status = 'deferred' AND m.reason = :waits)
""")
_FORGET_EFFECTS = text("""
    DELETE FROM effect f USING merge_moved v
    WHERE v.merge_id = CAST(:merge AS uuid) AND v.part = :part AND f.effect_key = v.row_id AND f.reason = :reason
""")
_FOLLOW = text("""
    UPDATE message m SET contact_id = :from FROM merge_moved v
    WHERE v.merge_id = CAST(:merge AS uuid) AND v.part = 'enrollment' AND m.enrollment_id = CAST(v.row_id AS uuid)
        AND m.contact_id = :into
""")
# A contact's slot is held by the enrollment that was made last.
_TAKE_SLOTS = text(f"""
    WITH newest AS (
        SELECT DISTINCT ON (track, contact_id, key) id FROM enrollment
        WHERE contact_id = {any_of("ids")} ORDER BY track, contact_id, key, created_at DESC, id DESC
    )
    UPDATE enrollment e SET slot = '' FROM newest n
    WHERE e.id = n.id AND e.slot <> '' AND NOT EXISTS (
        SELECT FROM enrollment h
        WHERE h.track = e.track AND h.contact_id = e.contact_id AND h.key = e.key AND h.slot = ''
    )
""")
