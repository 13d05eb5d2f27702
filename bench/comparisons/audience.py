"""`audience`: what segments cost: to fill them, to keep them by events, and to tell what is due at one moment.

The other side of filling is hand-written SQL that counts the same members; both must find the same number. The other
side of an event that ten segments read is an event that none reads; `ingest` measures that through the API, where it
has its budget. All of it runs in this process, over a PostgreSQL of its own; CPU-seconds are those of both.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from sqlalchemy import text

from api.audience.segment_upkeep import SegmentUpkeep
from audience.scores.document import score_from_data
from audience.segments.document import segment_from_data
from bench.measuring.paired_runs import Pair, Row, alone
from bench.measuring.resource_use import Spent
from infra.launch.ports import any_free
from infra.launch.postgres import Postgres
from store.audience.segments import member_lists
from store.engine.database import Database
from store.published import scores, segments
from store.runs.events import events
from store.schema.migrate import upgrade

DUE_WITHIN = 60.0
"""Seconds within which 100,000 changes that are due at one moment are to be told."""
BATCH = 64
"""Events of one transaction, as many as the API takes at most."""
EVENTS = 100 * BATCH
LIVE_FOR, LIVE_EVERY = 5.0, 0.05
"""Seconds for which live events are measured before the changes are due, and seconds between two of them."""

FILL = (
    """INSERT INTO contact (id, email, attributes)
    SELECT 'user-' || n, 'u' || n || '@people.test',
        jsonb_build_object('plan', (ARRAY['free', 'team', 'company'])[1 + n % 3], 'seats', n % 50)
    FROM generate_series(1, :contacts) n""",
    """INSERT INTO event (event_id, contact_id, name, properties, occurred_at, received_at)
    SELECT 'event-' || n, 'user-' || (1 + n % :contacts),
        (ARRAY['app.used', 'app.used', 'app.used', 'page.viewed', 'order.paid', 'page.viewed', 'page.viewed',
            'payment.failed', 'page.viewed', 'page.viewed'])[1 + n / :contacts % 10],
        jsonb_build_object('total', n % 100), at, at
    FROM (
        SELECT n, CAST(:now AS timestamptz) - make_interval(secs => 5184000.0 * (n * 7919 % :events) / :events) AS at
        FROM generate_series(CAST(1 AS bigint), :events) n
    ) n""",
)
"""The events of 60 days; each contact has as many of each name as the others."""

_NOT_USED = "NOT EXISTS (SELECT FROM event e WHERE e.contact_id = c.id AND e.name = 'app.used' AND e.occurred_at > {})"


@dataclass(frozen=True)
class Kind:
    """A segment, and the SQL condition over a contact `c` that gives the same members."""

    members: Any
    sql: str


def _did(name: str, within: str, least: int, where: str = "true") -> str:
    counted = f"SELECT count(*) FROM event e WHERE e.contact_id = c.id AND e.name = '{name}' AND ({where})"
    return f"({counted} AND e.occurred_at > CAST(:now AS timestamptz) - interval '{within}') >= {least}"


KINDS: Mapping[str, Kind] = {
    "a plan": Kind('contact.attributes.plan == "team"', "c.attributes ->> 'plan' = 'team'"),
    "no use for 14 days": Kind(
        {"did_not": "app.used", "within": "14d"}, _NOT_USED.format("CAST(:now AS timestamptz) - interval '14 days'")
    ),
    "three orders": Kind({"did": "order.paid", "times": ">= 3"}, _did("order.paid", "100 years", 3)),
    "two views in a week": Kind(
        {"did": "page.viewed", "times": ">= 2", "within": "7d"}, _did("page.viewed", "7 days", 2)
    ),
    "a dear order": Kind(
        {"did": "order.paid", "within": "30d", "where": "event.properties.total > 50"},
        _did("order.paid", "30 days", 1, "(e.properties ->> 'total')::int > 50"),
    ),
}


async def bench(console: Console, *, contacts: int, events_stored: int) -> tuple[list[Row], list[Pair]]:
    """The report; each line names its two sides, so there are no pairs."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        async with _filled(Path(name), contacts, events_stored, console) as (database, spent, now):
            rows = []
            for what, kind in KINDS.items():
                rows += await _filling(database, spent, what, kind, contacts, now)
                console.print(f"{what}: filled")
            rows += await _keeping(database, spent)
            rows += await _due(database, spent, contacts)
            return rows, []


async def _filling(database: Database, spent: Spent, what: str, kind: Kind, contacts: int, now: datetime) -> list[Row]:
    name = what.replace(" ", "-")
    await _publish(database, name, kind.members)
    upkeep = SegmentUpkeep(database)
    filled = await _measured(spent, lambda: _until_done(lambda: upkeep.fill(now)))
    async with database.transaction() as tx:
        members = await member_lists.size(tx, name)
    by_hand: list[int] = []

    async def count() -> None:
        async with database.transaction() as tx:
            await tx.execute(text("SET LOCAL enable_seqscan = on"))
            found = await tx.execute(text(f"SELECT count(*) FROM contact c WHERE {kind.sql}"), {"now": now})
            by_hand.append(int(found.scalar_one()))

    sql = await _measured(spent, count)
    if by_hand != [members]:
        raise AssertionError(f"{what}: {members} members, but {by_hand[0]} by SQL")
    per_second = contacts / filled.cpu
    return [
        Row(f"{what} ({members:,}): contacts per CPU-second", per_second, contacts / max(sql.cpu, 0.001)),
    ]


async def _keeping(database: Database, spent: Spent) -> list[Row]:
    """CPU of events that nothing reads, that ten segments read, and that three scores read too."""
    for number in range(10):
        parts = [{"did": "bench.read", "times": f">= {number + 1}", "within": f"{7 + number}d"}]
        parts.append({"did_not": "bench.other", "within": f"{20 + number}d"})
        await _publish(database, f"read-{number}", {"all": parts})
    await _until_done(SegmentUpkeep(database).fill)
    cost: dict[str, float] = {}
    for name in ("bench.unread", "bench.read", "bench.unread", "bench.read"):
        cost[name] = min(cost.get(name, inf), await _accepted(database, spent, name))
    for number in range(3):
        async with database.transaction() as tx:
            data = _score(number)
            await scores.publish(tx, score_from_data(data), str(data), data)
    await _until_done(SegmentUpkeep(database).fill)
    scored = min([await _accepted(database, spent, "bench.read") for _ in range(2)])
    unread, read = cost["bench.unread"], cost["bench.read"]
    return [
        Row("CPU-s per 1,000 events, in the store, read by ten segments or by none", read, unread, read / unread),
        Row("  read by ten segments and three scores, or by none", scored, unread, scored / unread),
    ]


def _score(number: int) -> dict[str, Any]:
    """A score that each event changes: points that wear off, with a cap, points that end, and a `while`."""
    return {
        "score": f"counts-{number}",
        "behaviour": [
            {
                "id": "read",
                "event": "bench.read",
                "points": number + 1,
                "half_life": "14d",
                "cap": {"most": 3, "per": "1d"},
            },
            {"id": "pricing", "event": "bench.read", "where": _PRICING, "points": 2, "within": "30d"},
            {"id": "left", "while": {"did": "bench.other", "within": "30d"}, "points": -15},
        ],
        "grades": {"cold": None, "warm": 20, "hot": {"enter": 60, "leave": 50}},
    }


async def _accepted(database: Database, spent: Spent, name: str) -> float:
    """CPU-seconds of 1,000 events."""
    return (await _measured(spent, lambda: _accept(database, name))).cpu * 1000 / EVENTS


_PRICING = 'event.properties.page == "/pricing"'
_sent = iter(range(1_000_000_000))


async def _accept(database: Database, name: str) -> None:
    for _ in range(EVENTS // BATCH):
        numbers = [next(_sent) for _ in range(BATCH)]
        batch = [events.Event(f"bench-{n}", f"user-{1 + n * 17 % 5_000}", name, {"page": "/pricing"}) for n in numbers]
        async with database.transaction() as tx:
            await events.accept_many(tx, batch)


async def _due(database: Database, spent: Spent, contacts: int) -> list[Row]:
    """All contacts become silent at one moment."""
    await _publish(database, "silent", {"did_not": "bench.silence", "within": "90d"})
    await _until_done(SegmentUpkeep(database).fill)
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        await tx.execute(_SAID, {"now": now})
        await tx.execute(_AWAKE, {"now": now, "until": now + timedelta(days=90)})
    later = now + timedelta(days=90, seconds=1)
    upkeep = SegmentUpkeep(database)
    alone_before = await _live_events(database, asyncio.create_task(asyncio.sleep(LIVE_FOR)))
    telling = asyncio.create_task(_measured(spent, lambda: _until_done(lambda: upkeep.update_due(later))))
    beside = await _live_events(database, telling)
    taken = await telling
    async with database.transaction() as tx:
        told = (await tx.execute(_TOLD)).scalar_one()
    if told != contacts:
        raise AssertionError(f"{told} of {contacts} were told")
    seconds = taken.seconds * 100_000 / contacts
    return [
        alone("seconds until 100,000 changes due at one moment are told, one process", [seconds], at_most=DUE_WITHIN),
        alone("  CPU-s per 1,000 of them", [taken.cpu * 1000 / contacts]),
        Row("ms to accept a live event meanwhile, or before, p50", beside, alone_before, beside / alone_before),
    ]


async def _live_events(database: Database, until: asyncio.Task[Any]) -> float:
    """The median of the milliseconds that storing an event takes, one after another, until that task is done.

    The events are of one contact, are read by no segment, and are stored by this process too.
    """
    taken = []
    while not until.done():
        began = time.monotonic()
        async with database.transaction() as tx:
            await events.accept(tx, events.Event(f"live-{next(_sent)}", "user-1", "bench.unread", {"page": "/pricing"}))
        taken.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(LIVE_EVERY)
    return median(taken)


_SAID = text("""
    INSERT INTO event (event_id, contact_id, name, properties, occurred_at, received_at)
    SELECT 'silence-' || id, id, 'bench.silence', '{}', :now, :now FROM contact
""")
_AWAKE = text("""
    UPDATE membership SET member = false, changes_at = :until WHERE segment = 'silent'
""")
_TOLD = text("SELECT count(*) FROM event WHERE name = 'segment.entered' AND properties ->> 'segment' = 'silent'")


@dataclass(frozen=True)
class _Taken:
    seconds: float
    cpu: float


async def _measured(spent: Spent, work: Callable[[], Awaitable[None]]) -> _Taken:
    before, began = spent.read(), time.monotonic()
    await work()
    return _Taken(time.monotonic() - began, sum(spent.read().since(before).values()))


async def _until_done(step: Callable[[], Awaitable[bool]]) -> None:
    while await step():
        pass


async def _publish(database: Database, name: str, members: Any) -> None:
    data = {"segment": name, "members": members}
    async with database.transaction() as tx:
        await segments.publish(tx, segment_from_data(data), str(data), data)


@asynccontextmanager
async def _filled(
    folder: Path, contacts: int, events_stored: int, console: Console
) -> AsyncIterator[tuple[Database, Spent, datetime]]:
    """A database with so many rows, the meters of PostgreSQL and this process, and the moment of the newest event."""
    postgres = Postgres(folder / "postgres", any_free(), "audience", log=folder / "postgres.log")
    now = datetime.now(UTC)
    try:
        url = await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(upgrade, url)
        assert postgres.child is not None
        database, spent = Database(url, 5), _Meters()
        spent.watch("postgres", postgres.child.pid)
        numbers = {"contacts": contacts, "events": events_stored, "now": now}
        for statement in FILL:
            began, wanted = time.monotonic(), text(statement)
            async with database.transaction() as tx:
                await tx.execute(wanted, {name: numbers[name] for name in wanted.compile().params})
            console.print(f"{statement.split('(')[0].strip()}: {time.monotonic() - began:.0f} s")
        async with database.transaction() as tx:
            await tx.execute(text("ANALYZE"))
        yield database, spent, now
        await database.close()
    finally:
        postgres.stop()


class _Meters(Spent):
    """The meters, with this process itself and none of its children."""

    def read(self, *, memory: bool = False) -> Any:
        reading = super().read(memory=memory)
        own = os.times()
        return type(reading)({**reading.cpu, "own": own.user + own.system}, reading.memory, reading.machine)
