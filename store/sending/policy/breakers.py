"""Circuit breakers: they hold the messages of a track or of a whole channel, and release them at a bounded rate.

A breaker is `open` (it holds every message that is not transactional), `resuming` (held messages go one after another,
those that wait first) or `closed`. Bounces or complaints (`store.sending.feedback.reputation`), an operator, or a
provider that accepts no more messages open it. In the first three cases it stays open until somebody resumes it,
because providers close accounts that continue to send before the cause is fixed. In the last case it resumes by itself
(`until`).
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
from tracks.shared.personal_ids import looks_personal

State = Literal["open", "resuming", "closed"]
Cause = Literal["bounces", "complaints", "operator", "provider"]

REASON = "breaker: "
"""The beginning of a held message's reason in the ledger; the scope follows."""
LONGEST_REASON = 200
RESUMING = "it resumes, one message after another"
LATE = timedelta(seconds=2)
"""A message may come for its place this much too late or too early, because timers and queues are not exact."""
SOONEST, LATEST = timedelta(minutes=5), timedelta(hours=1)
"""A held message asks again after a quarter of the time for which its breaker has been open, within these limits."""
ASKING_PER_SECOND = 2.0
"""All messages of one breaker together ask at most at this rate, because they go through the provider's queue."""


def account(channel: Channel) -> str:
    """The scope of everything that goes through a channel."""
    return f"account:{channel}"


def of_track(track: str) -> str:
    """The scope of a track."""
    return f"track:{track}"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of a scope; times are real, UTC. `figures` are the numbers that opened it."""

    scope: str
    state: State
    cause: Cause
    reason: str
    figures: Mapping[str, Any]
    changed_at: datetime
    until: datetime | None
    """When an open breaker resumes by itself; None: only when somebody resumes it."""
    resumed_at: datetime | None
    """Only messages claimed since then count: earlier ones have opened the breaker once already."""
    next_at: datetime | None
    """While resuming: the last place that a message was promised."""
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
    """The reason why it is open, as `for_histories` returns it."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """What the ledger knows about a message that has to wait: the reason, since when, until when."""

    reason: str
    at: datetime
    until: datetime


def for_histories(reason: str) -> str:
    """A reason for the held runs: one short line; empty if it looks like an address (law 1)."""
    line = " ".join("".join(one if one.isprintable() else " " for one in reason).split())[:LONGEST_REASON].rstrip()
    return "" if looks_personal(line) else line


async def turn(
    tx: AsyncConnection, scopes: Sequence[str], now: datetime, deferred: Deferred | None, *, spread: float | None = None
) -> Hold | None:
    """Whether a message under these breakers has to wait. None: it may go now, and has taken its place in all of them.

    `deferred` is what the message was told last, if it waits already: a message that comes for the place that it was
    promised does not queue again. While a breaker resumes, at most `per_second * (seconds + LATE) + 1` messages pass in
    a period of `seconds`, however many ask at the same time. `spread` (0 to 1) is random by default.
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
    """Open a breaker; returns False if it was open for this cause already.

    An operator's cause replaces every other. Any cause replaces `provider`, which would end by itself.
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
    """Release an open breaker's messages at that rate; with `only`, only if it is open for that cause.

    None if it is not open. Held messages come back within about `LATEST`, each at the time that it was given.
    """
    values = {"scope": scope, "rate": per_second, "only": only, "now": now or utc_now()}
    row = (await tx.execute(_RESUME, values)).mappings().first()
    return read_row(Breaker, row) if row else None


async def tend(tx: AsyncConnection, *, per_second: float, now: datetime) -> list[Breaker]:
    """Count what each holds, resume those open until now, close those that hold nothing; returns those that changed."""
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
    """One breaker; None if it never opened."""
    row = (await tx.execute(_FIND, {"scope": scope})).mappings().first()
    return read_row(Breaker, row) if row else None


async def all_known(tx: AsyncConnection) -> list[Breaker]:
    """Every breaker that ever opened, by scope."""
    return [read_row(Breaker, row) for row in (await tx.execute(_ALL)).mappings()]


@dataclass(frozen=True, slots=True)
class _Place:
    """The two times of a resuming breaker: the last promised place, and when the rate allows the next message."""

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
    """Whether a message comes for a promised place. A deferral from before all of these resumed promised no place."""
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
# All code locks in the order of scopes, and waits for no other lock while it holds one of these.
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
