"""Circuit breakers: a track, or a channel as a whole, that holds its messages, and lets them go at a bounded rate.

A row is `open` (it holds every message that is not transactional), `resuming` (they go one after another, those
that wait first) or `closed`. It opens because of bounces or complaints (`store.sending.reputation`), by an operator, or
because the provider takes no more. The first three stay open until somebody resumes them: sending on without the cause
found and mended is what providers close accounts for. The last resumes by itself (`until`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of, as_json, utc_now
from store.schema.rows import Channel, columns, read_row
from tracks.shared.identifiers import looks_personal

State = Literal["open", "resuming", "closed"]
Cause = Literal["bounces", "complaints", "operator", "provider"]

REASON = "breaker: "
"""A held message's reason in the ledger, with the scope behind it."""
LONGEST_REASON = 200
RESUMING = "it resumes, one message after another"
LATE = timedelta(seconds=2)
"""A message that waited for its place comes this much too late or too early: timers and queues take their time."""
SOONEST, LATEST = timedelta(minutes=5), timedelta(hours=1)
"""When a held message asks again: after a quarter of the time that its breaker has been open, within these."""
ASKING_PER_SECOND = 2.0
"""All that one breaker holds ask no oftener than this together, for they pass through the provider's queue."""


def account(channel: Channel) -> str:
    """The scope of everything that goes through a channel."""
    return f"account:{channel}"


def of_track(track: str) -> str:
    """The scope of a track."""
    return f"track:{track}"


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a scope stands; times are real, UTC. `figures` say what opened it."""

    scope: str
    state: State
    cause: Cause
    reason: str
    figures: Mapping[str, Any]
    changed_at: datetime
    until: datetime | None
    """When an open one resumes by itself; None: when somebody resumes it."""
    resumed_at: datetime | None
    """Only messages claimed since then are judged: those before it have opened it once already."""
    next_at: datetime | None
    """While resuming: the last place that was given away."""
    free_at: datetime | None
    """While resuming: when the rate allows the next message."""
    per_second: float
    held: int
    """Messages that wait for it, counted every few seconds."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A message has to wait for a breaker; `until` is real time."""

    scope: str
    until: datetime
    why: str = ""
    """In the words of whoever or whatever opened it, `for_histories`."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """What the ledger says of a message that was told to wait: why, at what moment, until when."""

    reason: str
    at: datetime
    until: datetime


def for_histories(reason: str) -> str:
    """A reason as the runs that it holds are told it: a short line; nothing where it looks like an address (law 1)."""
    line = " ".join("".join(one if one.isprintable() else " " for one in reason).split())[:LONGEST_REASON].rstrip()
    return "" if looks_personal(line) else line


async def turn(
    tx: AsyncConnection, scopes: Sequence[str], now: datetime, deferred: Deferred | None, *, spread: float | None = None
) -> Hold | None:
    """Whether a message under these breakers has to wait; None: it goes now, and has taken its place in all of them.

    `deferred` is what it was told last, if it waits already: one that comes for the place that it was promised
    does not queue anew. While a breaker resumes, the messages under it between two moments number at most
    `per_second * (seconds + LATE) + 1`, whoever asks at the same time. `spread` (0 to 1) is random by default.
    """
    rows = await _read(tx, _STANDING, scopes)
    if hold := _held(rows, now, spread):
        return hold
    rows = await _read(tx, _LOCKED, scopes)
    if hold := _held(rows, now, spread):
        return hold
    if not rows:
        return None
    promised = _promised(deferred, rows, now)
    places = [_Place.of(row, now) for row in rows]
    if all(place.free(now) and (promised or place.nobody_waits(now)) for place in places):
        taken = [place.taken(now, promised) for place in places]
        hold = None
    else:
        taken = [place.promised(now) for place in places]
        last = max(range(len(rows)), key=lambda n: taken[n].next_at)
        hold = Hold(rows[last].scope, taken[last].next_at, RESUMING)
    for row, place in zip(rows, taken, strict=True):
        await tx.execute(_PLACE, {"scope": row.scope, "next": place.next_at, "free": place.free_at})
    return hold


async def trip(
    tx: AsyncConnection,
    scope: str,
    cause: Cause,
    reason: str,
    *,
    figures: Mapping[str, Any] | None = None,
    until: datetime | None = None,
    now: datetime | None = None,
) -> bool:
    """Open a breaker; whether it was not open for that cause already.

    An operator's word replaces every other cause, and any cause replaces `provider`, which would end by itself.
    """
    values = {
        "scope": scope,
        "cause": cause,
        "reason": reason,
        "figures": as_json(dict(figures or {})),
        "until": until,
        "now": now or utc_now(),
    }
    before = (await tx.execute(_STATE, values)).first()
    tripped = (await tx.execute(_TRIP, values)).first() is not None
    return tripped and (before is None or before.state != "open" or before.cause != cause)


async def resume(
    tx: AsyncConnection, scope: str, *, per_second: float, only: Cause | None = None, now: datetime | None = None
) -> Breaker | None:
    """Let an open breaker's messages go at that rate; with `only`, not if it is open for another cause.

    None where it is not open. Messages that it held come back within `LATEST` or so, each when it was told to.
    """
    values = {"scope": scope, "rate": per_second, "only": only, "now": now or utc_now()}
    row = (await tx.execute(_RESUME, values)).mappings().first()
    return read_row(Breaker, row) if row else None


async def tend(tx: AsyncConnection, *, per_second: float, now: datetime) -> list[Breaker]:
    """Count what each holds, resume what is open only until now, close what has let all go; those that changed."""
    changed = []
    for row in (await tx.execute(_COUNT)).all():
        if row.held != row.counted:
            await tx.execute(_HELD, {"scope": row.scope, "held": row.counted})
        if row.state == "open" and row.until is not None and row.until <= now:
            changed.append(await resume(tx, row.scope, per_second=per_second, now=now))
        elif row.state == "resuming" and not row.counted:
            closed = (await tx.execute(_CLOSE, {"scope": row.scope, "now": now})).mappings().first()
            changed.append(read_row(Breaker, closed) if closed else None)
    return [breaker for breaker in changed if breaker is not None]


async def find(tx: AsyncConnection, scope: str) -> Breaker | None:
    """One breaker; None where it never opened."""
    row = (await tx.execute(_FIND, {"scope": scope})).mappings().first()
    return read_row(Breaker, row) if row else None


async def all_known(tx: AsyncConnection) -> list[Breaker]:
    """Every breaker that ever opened, by scope."""
    return [read_row(Breaker, row) for row in (await tx.execute(_ALL)).mappings()]


@dataclass(frozen=True, slots=True)
class _Place:
    """A resuming breaker's two clocks."""

    gap: timedelta
    next_at: datetime
    free_at: datetime

    @classmethod
    def of(cls, row: Breaker, now: datetime) -> _Place:
        return cls(timedelta(seconds=1 / row.per_second), row.next_at or now, row.free_at or now)

    def free(self, now: datetime) -> bool:
        return self.free_at - LATE <= now

    def nobody_waits(self, now: datetime) -> bool:
        return self.next_at <= now

    def taken(self, now: datetime, promised: bool) -> _Place:
        next_at = self.next_at if promised else max(self.next_at, now) + self.gap
        return _Place(self.gap, next_at, max(self.free_at, now) + self.gap)

    def promised(self, now: datetime) -> _Place:
        return _Place(self.gap, max(self.next_at, now) + self.gap, self.free_at)


def _held(rows: Sequence[Breaker], now: datetime, spread: float | None) -> Hold | None:
    row = next((row for row in rows if row.state == "open"), None)
    if row is None:
        return None
    wait = max(SOONEST, min(LATEST, (now - row.changed_at) / 4), timedelta(seconds=row.held / ASKING_PER_SECOND))
    return Hold(
        row.scope,
        now + wait * (0.75 + 0.5 * (random.random() if spread is None else spread)),
        for_histories(row.reason),
    )


def _promised(deferred: Deferred | None, rows: Sequence[Breaker], now: datetime) -> bool:
    """Whether it comes for a place that it was given since all of these resumed; before, it was told no place."""
    return (
        deferred is not None
        and deferred.reason.startswith(REASON)
        and deferred.until - LATE <= now
        and all(row.resumed_at is not None and row.resumed_at <= deferred.at for row in rows)
    )


async def _read(tx: AsyncConnection, statement: TextClause, scopes: Sequence[str]) -> list[Breaker]:
    return [read_row(Breaker, row) for row in (await tx.execute(statement, {"scopes": list(scopes)})).mappings()]


_COLUMNS = columns(Breaker, "b")
_STANDING = text(f"SELECT {_COLUMNS} FROM breaker b WHERE state <> 'closed' AND scope = {any_of('scopes')}")
# Everybody locks in the order of scopes, and nobody who holds one of these waits for anything else.
_LOCKED = text(f"""
    SELECT {_COLUMNS} FROM breaker b WHERE state <> 'closed' AND scope = {any_of("scopes")}
    ORDER BY scope FOR NO KEY UPDATE
""")
_PLACE = text("UPDATE breaker SET next_at = :next, free_at = :free WHERE scope = :scope")
_STATE = text("SELECT state, cause FROM breaker WHERE scope = :scope FOR NO KEY UPDATE")
_TRIP = text("""
    INSERT INTO breaker AS b (scope, state, cause, reason, figures, changed_at, until)
    VALUES (:scope, 'open', :cause, :reason, CAST(:figures AS jsonb), :now, :until)
    ON CONFLICT (scope) DO UPDATE SET state = 'open', cause = excluded.cause, reason = excluded.reason,
        figures = excluded.figures, until = excluded.until,
        changed_at = CASE WHEN b.state = 'open' THEN b.changed_at ELSE excluded.changed_at END
    WHERE b.state <> 'open' OR b.cause = 'provider' OR excluded.cause = 'operator'
    RETURNING scope
""")
_RESUME = text(f"""
    UPDATE breaker b SET state = 'resuming', changed_at = :now, resumed_at = :now, next_at = :now, free_at = :now,
        until = NULL, per_second = :rate
    WHERE scope = :scope AND state = 'open' AND cause = coalesce(CAST(:only AS text), cause)
    RETURNING {_COLUMNS}
""")
_COUNT = text("""
    SELECT b.scope, b.state, b.until, b.held, (
        SELECT count(*) FROM message m JOIN enrollment e ON e.id = m.enrollment_id AND e.ended_at IS NULL
        WHERE m.status = 'deferred' AND m.reason = 'breaker: ' || b.scope
    ) AS counted
    FROM breaker b WHERE b.state <> 'closed' ORDER BY b.scope
""")
_HELD = text("UPDATE breaker SET held = :held WHERE scope = :scope")
_CLOSE = text(f"""
    UPDATE breaker b SET state = 'closed', changed_at = :now
    WHERE scope = :scope AND state = 'resuming' AND next_at <= :now RETURNING {_COLUMNS}
""")
_FIND = text(f"SELECT {_COLUMNS} FROM breaker b WHERE scope = :scope")
_ALL = text(f"SELECT {_COLUMNS} FROM breaker b ORDER BY scope")
