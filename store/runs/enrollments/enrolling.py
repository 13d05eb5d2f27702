"""Enrolling contacts. The unique slot of (track, contact, key) enforces the re-entry rule, without a query first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.errors import BusyError
from store.engine.ids import new_id
from store.engine.sql import any_of, as_json_list, many, utc_now
from store.published.entry_rules import NoKey, Rules, rules_from_json
from store.runs.enrollments.enrollment_slots import HOLDER, Slot, begin_anew, make_room
from store.runs.enrollments.enrollment_slots import Enrol as Enrol
from store.schema.merged_ids import survivor_of
from store.schema.rows import Enrollment, columns, read_row
from tracks.shared.workflow_ids import MAX_WORKFLOW_ID, workflow_id

Refusal = Literal["unknown_track", "unknown_contact", "key_required", "key_refused", "key_unexpected", "reentry"]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result of enrolling.

    `created`: a new enrollment. `existing`: a live enrollment has the slot. `refused`: see `refusal`; for `reentry`,
    `rule` is the track's rule in words and `enrollment` is the ended one that prevents it. `why` is what is wrong with
    the key. `moves`: created, and a segment names the track, so the caller brings segments up to date.
    """

    outcome: Literal["created", "existing", "refused"]
    enrollment: Enrollment | None = None
    refusal: Refusal | None = None
    rule: str = ""
    why: str = ""
    moves: bool = False


async def enroll(tx: AsyncConnection, wish: Enrol, *, now: datetime | None = None) -> Enrolled:
    """Enrol one contact, and put its start into the outbox, in this transaction."""
    return (await enroll_many(tx, [wish], now=now))[0]


async def enroll_many(
    tx: AsyncConnection, wishes: Sequence[Enrol], *, bulk: bool = False, now: datetime | None = None
) -> list[Enrolled]:
    """Enrol many contacts; one result each, in order. The second of two equal wishes gets the first as `existing`.

    An id that was merged stands for the surviving contact: the enrollment has the survivor's id. Segments that name the
    tracks are brought up to date by `store.runs.run_changes`, and where events enrol.

    `bulk` puts the starts into the outbox's slow lane, in which live traffic has priority.
    """
    now = now or utc_now()
    facts = await _facts(tx, wishes)
    if not all(known.contact for known in facts):  # one may have been merged while this waited for the lock
        facts = await _facts(tx, wishes)
    results: dict[int, Enrolled] = {}
    open_rows: dict[int, Slot] = {}
    named = [known.named for known in facts]
    for index, wish in enumerate(wishes):
        known = facts[index]
        placed = _slot(replace(wish, contact_id=known.contact_id), known.version, known.rules, known.contact)
        if isinstance(placed, Enrolled):
            results[index] = placed
        else:
            open_rows[index] = placed
    for _ in range(5):
        if not open_rows:
            return [results[index] for index in range(len(wishes))]
        await begin_anew(tx, list(open_rows.values()), now)
        await make_room(tx, list(open_rows.values()), now)
        created = await _insert(tx, list(open_rows.values()), bulk, now)
        for index, place in list(open_rows.items()):
            if place.id in created:
                results[index] = Enrolled("created", created[place.id], moves=named[index])
                del open_rows[index]
        if open_rows:
            await _meet_holders(tx, open_rows, results, now)
    raise BusyError("the same places kept changing hands")


class _Facts(NamedTuple):
    """The contact whom a wish is for; the newest version and rules of its track; whether the contact exists (and is
    locked if so), and whether a segment names the track."""

    contact_id: str
    version: int
    rules: Rules | None
    contact: bool
    named: bool


async def _facts(tx: AsyncConnection, wishes: Sequence[Enrol]) -> list[_Facts]:
    """The facts of each wish; the contacts who exist are locked."""
    rows = await tx.execute(_FACTS, {"track": [w.track for w in wishes], "contact_id": [w.contact_id for w in wishes]})
    found = {row.ord: row for row in rows}
    if changing := {row.contact_id for row in found.values() if row.named}:
        await tx.execute(_HOLD, {"ids": sorted(changing)})
    rules = {name: rules_from_json(row.rules) for row in found.values() if (name := row.track) is not None}
    ordered = [found[number] for number in range(1, len(wishes) + 1)]
    return [_Facts(row.contact_id, row.latest or 0, rules.get(row.track), row.known, row.named) for row in ordered]


def _slot(wish: Enrol, version: int, rules: Rules | None, contact_known: bool) -> Slot | Enrolled:
    if rules is None or not version:
        return Enrolled("refused", refusal="unknown_track")
    if not contact_known:
        return Enrolled("refused", refusal="unknown_contact")
    rule = str(rules.reentry)
    if wish.key and rules.reentry.kind != "per":
        return Enrolled("refused", refusal="key_unexpected", rule=rule)
    key = rules.reentry.key(wish.key, wish.properties)
    if isinstance(key, NoKey):
        refusal: Refusal = "key_required" if key.reason == "no-key" else "key_refused"
        return Enrolled("refused", refusal=refusal, rule=rule, why=key.why)
    named = workflow_id(wish.track, wish.contact_id, key or None)
    if len(named) > MAX_WORKFLOW_ID:
        why = f"with the contact's id it makes a workflow id of more than {MAX_WORKFLOW_ID:,} bytes"
        return Enrolled("refused", refusal="key_refused", rule=rule, why=f"the key is too long: {why}")
    return Slot(new_id(), wish, version, key, named, rules)


async def _insert(tx: AsyncConnection, slots: list[Slot], bulk: bool, now: datetime) -> dict[str, Enrollment]:
    rows = await tx.execute(
        _INSERT,
        {
            "id": [p.id for p in slots],
            "track": [p.wish.track for p in slots],
            "version": [p.version for p in slots],
            "contact_id": [p.wish.contact_id for p in slots],
            "key": [p.key for p in slots],
            "workflow_id": [p.workflow_id for p in slots],
            "properties": as_json_list(p.wish.properties for p in slots),
            "pace": [p.wish.pace for p in slots],
            "entry": [p.wish.entry for p in slots],
            "bulk": bulk,
            "now": now,
        },
    )
    return {row["id"]: read_row(Enrollment, row) for row in rows.mappings()}


async def _meet_holders(
    tx: AsyncConnection, open_rows: dict[int, Slot], results: dict[int, Enrolled], now: datetime
) -> None:
    """Set the result for each wish whose slot is taken; leave those open whose slot has just become free."""
    slots = list(open_rows.values())
    rows = await tx.execute(
        _HOLDERS,
        {
            "track": [p.wish.track for p in slots],
            "contact_id": [p.wish.contact_id for p in slots],
            "key": [p.key for p in slots],
        },
    )
    holders: dict[tuple[str, str, str], Enrollment] = {}
    for row in rows.mappings():
        holder = read_row(Enrollment, row)
        holders[holder.track, holder.contact_id, holder.key] = holder
    for index, place in list(open_rows.items()):
        found = holders.get(place.spot)
        anew = place.wish.restart and found is not None and _begins_anew(found, place.rules)
        if found is None or anew or _may_reenter(found, place.rules, now):
            continue
        rule = str(place.rules.reentry)
        live = found.ended_at is None
        results[index] = Enrolled(
            "existing" if live else "refused", found, refusal=None if live else "reentry", rule=rule
        )
        del open_rows[index]


def _begins_anew(holder: Enrollment, rules: Rules) -> bool:
    ends = rules.reentry.begins_anew()
    return holder.ended_at is None and (ends == "live" or (ends == "converted" and holder.goal_reached_at is not None))


def _may_reenter(holder: Enrollment, rules: Rules, now: datetime) -> bool:
    again = rules.reentry.again()
    if holder.ended_at is None or again is None:
        return False
    return (now - holder.ended_at).total_seconds() >= again / holder.pace


_COLUMNS = columns(Enrollment, "e")
# The contacts are locked (FOR KEY SHARE, as a foreign key would), so that no erasure happens in between. Those whose
# segments may change are locked for that (`_HOLD`), before any enrollment is.
_FACTS = text(f"""
    WITH wish AS (
        SELECT w.track, {survivor_of("w.contact_id")} AS contact_id, w.ord
        FROM {many("w", track="text", contact_id="text")}
    ),
    held AS (
        SELECT id FROM contact WHERE id IN (SELECT contact_id FROM wish) ORDER BY id FOR KEY SHARE
    )
    SELECT w.ord, w.contact_id, t.name AS track, t.latest, t.rules, h.id IS NOT NULL AS known,
        EXISTS (SELECT FROM segment_trigger g WHERE g.event = E'on\\n' || w.track) AS named
    FROM wish w LEFT JOIN track t ON t.name = w.track AND t.latest > 0 LEFT JOIN held h ON h.id = w.contact_id
""")
_HOLD = text(f"SELECT id FROM contact WHERE id = {any_of('ids')} ORDER BY id FOR NO KEY UPDATE")
_WISHES = many(
    "w",
    id="uuid",
    track="text",
    version="int",
    contact_id="text",
    key="text",
    workflow_id="text",
    properties="text",
    pace="float8",
    entry="text",
)
_INSERT = text(f"""
    WITH e AS (
        INSERT INTO enrollment AS e
            (id, track, version, contact_id, key, workflow_id, properties, pace, origin, created_at, entry)
        SELECT id, track, version, contact_id, key, workflow_id, properties::jsonb, pace, :now, :now, entry
        FROM {_WISHES}
        ORDER BY track, contact_id, key, ord
        ON CONFLICT (track, contact_id, key, slot) DO NOTHING
        RETURNING *
    ),
    start AS (
        INSERT INTO outbox (enrollment_id, kind, created_at, next_attempt_at, bulk)
        SELECT id, 'start', :now, :now, :bulk FROM e ORDER BY id
    )
    SELECT {_COLUMNS} FROM e
""")
_HOLDERS = text(f"""
    SELECT {_COLUMNS}
    FROM (SELECT DISTINCT track, contact_id, key FROM {many("i", track="text", contact_id="text", key="text")}) w
    CROSS JOIN {HOLDER.format(key="w.key")}
""")
