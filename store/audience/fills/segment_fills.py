"""Bring a published version of a segment to life, chunk by chunk: evaluate all contacts, let it count, tell, clear.

A chunk is one transaction, and its position is stored with it: a killed process loses nothing and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.segments.date_moments import DateSegment
from audience.segments.document import Segment
from audience.segments.leaves.standings import cause
from audience.segments.probes import probes
from store.audience.facts import AGAIN, contacts_after, facts_of
from store.audience.fills import event_times
from store.audience.memberships import segment_revisits
from store.audience.memberships.membership_rows import MEMBERSHIP_NAMES, Membership, write
from store.audience.memberships.memberships import Change, Updated
from store.audience.segments import segment_sizes
from store.audience.standings import with_standings
from store.audience.webhooks.comparing import VERSION_LIVE
from store.engine.background import periodic_jobs
from store.engine.sql import any_of, many
from store.published import segments
from store.published.segments import REVISIT, SegmentVersion
from store.schema.rows import columns, read_row

CHUNK = 500
"""Contacts of a chunk. They are not locked, except against erasure while their memberships are written."""
CLEARED = 5_000
"""Memberships of a replaced version that are deleted at once."""
NOTHING = Updated((), ())


async def step(tx: AsyncConnection, now: datetime) -> Updated | None:
    """Do one chunk of one version, and return what is to be told. None if there is nothing to do, or others do it."""
    revisited = await segment_revisits.step(tx, now)
    if revisited is not None:
        return revisited
    row = (await tx.execute(_NEXT)).mappings().first()
    if row is None:
        return None
    version = read_row(SegmentVersion, row)
    match version.state:
        case "filling":
            await _fill(tx, version, now)
            return NOTHING
        case "telling_entered":
            return await _tell_entered(tx, version, now)
        case "telling_left":
            return await _tell_left(tx, version, now)
        case _:
            await _clear(tx, version)
            return NOTHING


async def _fill(tx: AsyncConnection, version: SegmentVersion, now: datetime) -> None:
    """Evaluate the next contacts.

    Every transaction that concerns this version writes the contact's membership, also while it is filled. A row that is
    there already is therefore newer than what is evaluated here, and stays.
    """
    segment = await segments.definition(tx, version.segment, version.version)
    people = await _facts_after(tx, segment, version.position, now)
    before = await _members_before(tx, version, [contact_id for contact_id, _ in people])
    found: list[tuple[str, bool, datetime | None, bool]] = []
    not_judged = 0
    # The moments of a date count from its publishing on: those that have come since then are due at once.
    moment = version.published_at if isinstance(segment, DateSegment) else now
    for contact_id, facts in people:
        answer = segment.decider.judged(facts, moment)
        not_judged += answer is None
        member, changes_at = answer or (False, now + AGAIN)
        if member or changes_at is not None:
            told = not member or version.existing == "ignore" or contact_id in before
            found.append((contact_id, member, changes_at, told))
    if found:
        added = dict(zip(_ADDED, map(list, zip(*found, strict=True)), strict=True))
        await tx.execute(_ADD, added | {"segment": version.segment, "version": version.version, "now": now})
    values = {
        "segment": version.segment,
        "version": version.version,
        "position": people[-1][0] if people else version.position,
        "evaluated": len(people),
        "not_judged": not_judged,
        "now": now,
    }
    await tx.execute(_FILLED, values)
    if len(people) < CHUNK:
        await periodic_jobs.again(tx, segment_sizes.JOB, now)
        state = "live" if version.existing == "ignore" else "telling_entered"
        await tx.execute(_LIVE, values | {"state": state, "cause": cause("in", version.segment)})


async def _facts_after(
    tx: AsyncConnection, segment: Segment, after: str, now: datetime
) -> Sequence[tuple[str, Facts | None]]:
    """The next contacts, by the bytes of their ids, with what decides about each."""
    members = segment.members
    if isinstance(segment, DateSegment):  # its tree is empty, and its moments follow from the contact
        return [(person.id, Facts(person.view())) for person in await contacts_after(tx, after, CHUNK)]
    moments = event_times.asks_only_when(members)
    if moments is not None:
        found = await event_times.facts_after(tx, members, moments, now, after=after, limit=CHUNK)
        if found is not None:
            return found
    people = await contacts_after(tx, after, CHUNK, members=members)
    asked = probes([members])
    facts = await facts_of(tx, [(person, asked) for person in people], now)
    facts = await with_standings(tx, people, [members], facts)
    return [(person.id, facts[person.id]) for person in people]


async def _members_before(tx: AsyncConnection, version: SegmentVersion, ids: Sequence[str]) -> set[str]:
    """Who of these is a member by the version that counts today; only of interest where members are told."""
    if version.existing == "ignore":
        return set()
    rows = await tx.execute(_BEFORE, {"segment": version.segment, "ids": list(ids)})
    return set(rows.scalars())


async def _tell_entered(tx: AsyncConnection, version: SegmentVersion, now: datetime) -> Updated:
    """Tell of the next contacts who were members when the version went live, that they entered."""
    asked = {"segment": version.segment, "version": version.version, "after": version.position, "limit": CHUNK}
    ids = list((await tx.execute(_UNTOLD, asked)).scalars())
    await tx.execute(_HOLD, {"ids": sorted(ids)})
    rows = await tx.execute(_ROWS, asked | {"ids": ids})
    found = [Membership._make(row) for row in rows]
    told = [row._replace(told=True, seq=row.seq + 1) for row in found if row.member and not row.told]
    write(tx, told)
    await _moved(tx, version, ids, "telling_left")
    return Updated([_change(row, now) for row in told], ())


async def _tell_left(tx: AsyncConnection, version: SegmentVersion, now: datetime) -> Updated:
    """Tell of the next members by the version before, who are none by this one, that they left."""
    asked = {"segment": version.segment, "version": version.version, "after": version.position, "limit": CHUNK}
    ids = list((await tx.execute(_GONE, asked)).scalars())
    people = list((await tx.execute(_HOLD, {"ids": sorted(ids)})).scalars())
    rows = await tx.execute(_ROWS, asked | {"ids": people})
    known = {row.contact_id: row for row in map(Membership._make, rows)}
    told: list[Membership] = []
    for contact_id in people:
        key = (contact_id, version.segment, version.version)
        row = known.get(contact_id) or Membership(*key, False, now, None, 0, told=True)
        if not row.member and row.seq == 0:
            told.append(row._replace(seq=1))
    write(tx, told)
    await _moved(tx, version, ids, "live")
    return Updated([_change(row, now) for row in told], ())


async def _moved(tx: AsyncConnection, version: SegmentVersion, ids: Sequence[str], following: str) -> None:
    done = len(ids) < CHUNK
    position = "" if done else ids[-1]
    key = {"segment": version.segment, "version": version.version}
    await tx.execute(_MOVED, key | {"position": position, "state": following if done else version.state})


def _change(row: Membership, now: datetime) -> Change:
    return Change(row.contact_id, row.segment, row.version, row.member, now, row.seq)


async def _clear(tx: AsyncConnection, version: SegmentVersion) -> None:
    """Delete the next memberships of a version that counts no more."""
    key = {"segment": version.segment, "version": version.version}
    if (await tx.execute(_CLEAR, key | {"limit": CLEARED})).rowcount < CLEARED:
        await tx.execute(_MOVED, key | {"position": "", "state": "ended"})


# A replaced version keeps its members as long as the new one tells who left, and as segments about it are revisited. A
# version that is about another segment is filled when that one is.
_NEXT = text(f"""
    SELECT {columns(SegmentVersion, "v")} FROM segment_version v
    WHERE state IN ('filling', 'telling_entered', 'telling_left', 'clearing') AND NOT paused
        AND NOT (state = 'clearing' AND EXISTS (
            SELECT FROM segment_version n
            WHERE n.segment = v.segment AND n.state IN ('telling_entered', 'telling_left')
        ))
        AND NOT (state = 'clearing' AND EXISTS (SELECT FROM segment_revisit r WHERE r.cause = E'in\\n' || v.segment))
        AND NOT (state = 'filling' AND EXISTS (
            SELECT FROM segment_trigger t JOIN segment_version i ON t.event = E'in\\n' || i.segment
            WHERE t.segment = v.segment AND t.version = v.version AND i.state = 'filling'
        ))
    ORDER BY state = 'clearing', published_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_BEFORE = text(f"""
    SELECT m.contact_id FROM membership m JOIN segment s ON s.name = m.segment AND s.live = m.version
    WHERE m.segment = :segment AND m.contact_id = {any_of("ids")} AND m.member
""")
_ADDED = {"contact_id": "text", "member": "bool", "changes_at": "timestamptz", "told": "bool"}
_ADD = text(f"""
    WITH held AS (
        SELECT id FROM contact WHERE id = {any_of("contact_id")} ORDER BY id FOR KEY SHARE
    )
    INSERT INTO membership ({MEMBERSHIP_NAMES})
    SELECT i.contact_id, :segment, :version, i.member, :now, i.changes_at, 0, i.told
    FROM {many("i", **_ADDED)} JOIN held h ON h.id = i.contact_id ORDER BY i.contact_id
    ON CONFLICT (contact_id, segment, version) DO NOTHING
""")
_FILLED = text("""
    UPDATE segment_version SET position = :position, evaluated = evaluated + :evaluated,
        not_judged = not_judged + :not_judged
    WHERE segment = :segment AND version = :version
""")
_LIVE = text(f"""
    WITH old AS (
        UPDATE segment_version v SET state = 'clearing', position = '' FROM segment s
        WHERE s.name = :segment AND v.segment = s.name AND v.version = s.live AND v.version <> :version
        RETURNING v.segment, v.version
    ),
    silent AS (DELETE FROM segment_trigger t USING old o WHERE t.segment = o.segment AND t.version = o.version),
    revisit AS ({REVISIT}),
    counts AS (UPDATE segment SET live = :version WHERE name = :segment),
    sent_on AS ({VERSION_LIVE})
    UPDATE segment_version SET state = :state, position = '', live_at = :now
    WHERE segment = :segment AND version = :version
""")
_UNTOLD = text("""
    SELECT contact_id FROM membership
    WHERE segment = :segment AND version = :version AND member AND NOT told AND contact_id COLLATE "C" > :after
    ORDER BY contact_id COLLATE "C" LIMIT :limit
""")
_GONE = text("""
    SELECT m.contact_id FROM membership m
    JOIN segment_version v ON v.segment = m.segment AND v.version = m.version AND v.state = 'clearing'
        AND v.live_at IS NOT NULL
    WHERE m.segment = :segment AND m.version < :version AND m.member AND m.contact_id COLLATE "C" > :after
    ORDER BY m.contact_id COLLATE "C" LIMIT :limit
""")
_HOLD = text(f"SELECT id FROM contact WHERE id = {any_of('ids')} ORDER BY id FOR NO KEY UPDATE")
_ROWS = text(f"""
    SELECT {MEMBERSHIP_NAMES} FROM membership
    WHERE segment = :segment AND version = :version AND contact_id = {any_of("ids")}
""")
_MOVED = text("""
    UPDATE segment_version SET position = :position, state = :state WHERE segment = :segment AND version = :version
""")
_CLEAR = text("""
    DELETE FROM membership WHERE (contact_id, segment, version) IN (
        SELECT contact_id, segment, version FROM membership WHERE segment = :segment AND version = :version
        LIMIT :limit
    )
""")
