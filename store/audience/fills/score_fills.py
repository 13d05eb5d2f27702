"""Bring a published version of a score to life, chunk by chunk: evaluate all contacts, let it count, tell, clear.

A chunk is one transaction, and its position is stored with it: a killed process loses nothing and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.scores.probes import probes
from store.audience.facts import HOLD, contacts_after, facts_of
from store.audience.memberships import memberships
from store.audience.memberships.memberships import Touch, Updated
from store.audience.scores import sizes
from store.audience.scores.decided_values import first_value, judged, untold_of
from store.audience.scores.values import (
    LIVE,
    VALUE_NAMES,
    VALUES_GIVEN,
    VALUES_SELECTED,
    GradeChange,
    ScorePin,
    ScoreValue,
    arrays,
    value_of,
    write,
)
from store.engine.background import periodic_jobs
from store.engine.sql import any_of
from store.published import scores
from store.published.scores import ScoreVersion
from store.published.segments import trigger_of
from store.schema.rows import Contact, columns, read_row

CHUNK = 500
"""Contacts of a chunk. They are not locked, except against erasure while their values are written."""
CLEARED = 5_000
"""Values of a replaced version that are deleted at once."""
NOTHING = Updated((), ())


async def step(tx: AsyncConnection, now: datetime) -> Updated | None:
    """Do one chunk of one version, and return what is to be told. None if there is nothing to do, or others do it."""
    row = (await tx.execute(_NEXT)).mappings().first()
    if row is None:
        return None
    version = read_row(ScoreVersion, row)
    match version.state:
        case "filling":
            await _fill(tx, version, now)
            return NOTHING
        case "switching":
            return await _switch(tx, version, now)
        case _:
            await _clear(tx, version)
            return NOTHING


async def _fill(tx: AsyncConnection, version: ScoreVersion, now: datetime) -> None:
    """Evaluate the next contacts.

    Every transaction that concerns this version writes the contact's value, also while it is filled. A row that is
    there already is therefore newer than what is evaluated here, and stays. A contact keeps the grade that counts so
    far where the new version lets them keep it.
    """
    people = await contacts_after(tx, version.position, CHUNK)
    score, pin = await scores.definition(tx, version.score, version.version), ScorePin(version.score, version.version)
    asked = probes([score])
    facts = await facts_of(tx, [(person, asked) for person in people], now)
    before = await _grades_before(tx, version, people)
    found: list[ScoreValue] = []
    not_judged = 0
    for person in people:
        by_live = before.get(person.id)
        value, could = judged(score, first_value(score, person.id, pin, by_live, now), facts[person.id], now)
        not_judged += not could
        found.append(replace(value, untold=untold_of(score, value.grade, by_live)))
    if found:
        await tx.execute(_ADD, arrays(found))
    values = {
        "score": version.score,
        "version": version.version,
        "position": people[-1].id if people else version.position,
        "evaluated": len(people),
        "not_judged": not_judged,
        "now": now,
    }
    await tx.execute(_FILLED, values)
    if len(people) < CHUNK:
        await tx.execute(_LIVE, values)
        await periodic_jobs.again(tx, sizes.JOB, now)


async def _grades_before(tx: AsyncConnection, version: ScoreVersion, people: Sequence[Contact]) -> dict[str, str]:
    """The grades of these contacts by the version that counts so far."""
    rows = await tx.execute(_BEFORE, {"score": version.score, "ids": [person.id for person in people]})
    return {row.contact_id: row.grade for row in rows}


async def _switch(tx: AsyncConnection, version: ScoreVersion, now: datetime) -> Updated:
    """Go on with the next contacts whose grade is another one since the version counts.

    They are told if the publisher asked for it. The segments that are about the grade are brought up to date in any
    case; that is told only together with the grade.
    """
    tells = version.existing == "tell"
    trigger = trigger_of(version.score)
    about_it = (await tx.execute(_SEGMENTS_ABOUT, {"trigger": trigger})).scalar_one()
    key = {"score": version.score, "version": version.version}
    ids: list[str] = []
    if tells or about_it:
        asked = key | {"after": version.position, "limit": CHUNK, "everybody": about_it}
        ids = list((await tx.execute(_NEXT_PEOPLE, asked)).scalars())
    held = await tx.execute(HOLD, {"ids": sorted(ids)})
    people = {row["id"]: read_row(Contact, row) for row in held.mappings()}
    rows = [value_of(row) for row in await tx.execute(_ROWS, key | {"ids": sorted(people)})]
    score = await scores.definition(tx, version.score, version.version)
    settled, graded = [], []
    for row in rows:
        if row.untold is None:
            continue
        told = tells and row.untold != row.grade
        settled.append(replace(row, untold=None, seq=row.seq + told))
        if told:
            before = row.untold
            passed = score.grades.passed(before, row.grade)
            graded.append(GradeChange(row.contact_id, *row.pin, before, row.grade, now, row.seq + 1, passed))
    write(tx, settled)
    updated = NOTHING
    if about_it and people:
        touched = {contact_id: Touch(frozenset([trigger])) for contact_id in people}
        updated = await memberships.update(tx, touched, now, held=people, silent=not tells)
    done = len(ids) < CHUNK
    await tx.execute(_MOVED, key | {"position": "" if done else ids[-1], "state": "live" if done else version.state})
    return replace(updated, graded=graded)


async def _clear(tx: AsyncConnection, version: ScoreVersion) -> None:
    """Delete the next values of a version that counts no more."""
    key = {"score": version.score, "version": version.version}
    if (await tx.execute(_CLEAR, key | {"limit": CLEARED})).rowcount < CLEARED:
        await tx.execute(_MOVED, key | {"position": "", "state": "ended"})


_NEXT = text(f"""
    SELECT {columns(ScoreVersion, "v")} FROM score_version v
    WHERE state IN ('filling', 'switching', 'clearing') AND NOT paused
    ORDER BY state = 'clearing', published_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_BEFORE = text(f"""
    SELECT v.contact_id, v.grade FROM score_value v {LIVE}
    WHERE v.score = :score AND v.contact_id = {any_of("ids")}
""")
_ADD = text(f"""
    WITH held AS (
        SELECT id FROM contact WHERE id = {any_of("contact_id")} ORDER BY id FOR KEY SHARE
    )
    INSERT INTO score_value ({VALUE_NAMES})
    SELECT {VALUES_SELECTED} FROM {VALUES_GIVEN} JOIN held h ON h.id = i.contact_id ORDER BY ord
    ON CONFLICT (contact_id, score, version) DO NOTHING
""")
_FILLED = text("""
    UPDATE score_version SET position = :position, evaluated = evaluated + :evaluated,
        not_judged = not_judged + :not_judged
    WHERE score = :score AND version = :version
""")
_LIVE = text("""
    WITH old AS (
        UPDATE score_version v SET state = 'clearing', position = '' FROM score s
        WHERE s.name = :score AND v.score = s.name AND v.version = s.live
        RETURNING v.score, v.version
    ),
    silent AS (DELETE FROM score_trigger t USING old o WHERE t.score = o.score AND t.version = o.version),
    counts AS (UPDATE score SET live = :version WHERE name = :score)
    UPDATE score_version SET state = 'switching', position = '', live_at = :now
    WHERE score = :score AND version = :version
""")
_SEGMENTS_ABOUT = text("SELECT EXISTS (SELECT FROM segment_trigger WHERE event = :trigger)")
_NEXT_PEOPLE = text("""
    SELECT contact_id FROM score_value
    WHERE score = :score AND version = :version AND (:everybody OR untold IS NOT NULL)
        AND contact_id COLLATE "C" > :after
    ORDER BY contact_id COLLATE "C" LIMIT :limit
""")
_ROWS = text(f"""
    SELECT {VALUE_NAMES} FROM score_value
    WHERE score = :score AND version = :version AND contact_id = {any_of("ids")}
""")
_MOVED = text("""
    UPDATE score_version SET position = :position, state = :state WHERE score = :score AND version = :version
""")
_CLEAR = text("""
    DELETE FROM score_value WHERE (contact_id, score, version) IN (
        SELECT contact_id, score, version FROM score_value WHERE score = :score AND version = :version
        LIMIT :limit
    )
""")
