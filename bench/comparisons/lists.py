"""`lists`: how long the API's lists take over very many contacts, messages and events, each asked for in many ways.

There is no bare side. Each list is asked for by filters that match many rows and by filters that match few. The rows
are written directly into the database, because writing them is not what is measured.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import text

from api.app import create_app
from bench.measuring.paired_runs import Pair, Row, alone
from infra.launch.ports import any_free
from infra.launch.postgres import Postgres
from settings import Settings
from store.engine.database import Database
from store.operations import api_keys
from store.schema.migrate import upgrade

BUDGET = 100.0
"""Milliseconds until the answer."""
TIMES = 15
"""How often each is asked for; the median counts."""
DAY = timedelta(days=1)

FILL = (
    """INSERT INTO contact (id, email, phone, attributes)
    SELECT 'user-' || n, 'u' || n || '@people.test', '+1555' || lpad(n::text, 7, '0'),
        jsonb_build_object('plan', (ARRAY['free', 'team', 'company'])[1 + n % 3], 'seat', n)
    FROM generate_series(1, :contacts) n""",
    "INSERT INTO track (name, latest) SELECT 'track-' || n, 1 FROM generate_series(0, 19) n",
    """INSERT INTO track_version (track, version, source, data, compiled, digest, attributes)
    SELECT name, 1, '', '{}', '{}', '', '{}' FROM track""",
    "INSERT INTO template (name, latest) SELECT 'template-' || n, 2 FROM generate_series(0, 29) n",
    """INSERT INTO template_version (template, version, kind, source, digest)
    SELECT name, n, 'email', '', '' FROM template, generate_series(1, 2) n""",
    """INSERT INTO enrollment (id, track, version, contact_id, key, workflow_id, status, origin, ended_at)
    SELECT CAST(lpad(to_hex(:began + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0') AS uuid),
        'track-' || n % 20, 1, 'user-' || n, '', 'nurture/' || n,
        CASE WHEN n % 10 = 0 THEN 'active' ELSE 'completed' END, now(), CASE WHEN n % 10 > 0 THEN now() END
    FROM generate_series(CAST(1 AS bigint), :contacts) n""",
    """INSERT INTO message (id, effect_key, enrollment_id, contact_id, track, step, channel, status, delivery, token,
        claimed_at, settled_at)
    SELECT CAST(lpad(to_hex(:began + n * :gap), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0') AS uuid),
        'key-' || n, e.id, e.contact_id, e.track, 'step-' || n % 5, CASE WHEN n % 8 = 0 THEN 'sms' ELSE 'email' END,
        CASE WHEN n % 5000 = 1 THEN 'unknown' WHEN n % 500 = 2 THEN 'failed' WHEN n % 9 = 0 THEN 'skipped'
            ELSE 'sent' END,
        CASE WHEN n % 9 = 0 OR n % 500 = 2 THEN NULL WHEN n % 10000 = 3 THEN 'complained'
            WHEN n % 200 = 4 THEN 'bounced' WHEN n % 2000 = 5 THEN 'delayed' ELSE 'delivered' END, 't',
        to_timestamp((:began + n * :gap) / 1000.0),
        to_timestamp((:began + n * :gap) / 1000.0 + CASE WHEN n % 900 = 9 THEN 60 ELSE 0 END)
    FROM generate_series(CAST(1 AS bigint), :messages) n
    JOIN enrollment e ON e.workflow_id = 'nurture/' || (1 + n % :contacts)""",
    """INSERT INTO message_content (message_id, template, template_version, track)
    SELECT id, CASE WHEN n % 50000 = 7 THEN 'template-29' ELSE 'template-' || n % 29 END, 1 + n % 10 / 3 % 2, track
    FROM (
        SELECT id, CAST(substr(effect_key, 5) AS int) AS n, track FROM message
        WHERE status <> 'skipped' OR settled_at > claimed_at
    ) m""",
    """INSERT INTO event (event_id, contact_id, name, properties, occurred_at, received_at)
    SELECT 'event-' || n, 'user-' || (1 + n % :contacts),
        CASE WHEN n % 50000 = 7 THEN 'order.refunded' ELSE 'event.' || n % 40 END, '{"page": "/pricing"}',
        to_timestamp((:began + n * :gap) / 1000.0), to_timestamp((:began + n * :gap) / 1000.0)
    FROM generate_series(CAST(1 AS bigint), :messages) n""",
)
"""Ids hold the moment at which they were made: a message every `gap` ms, from `began` (ms since 1970)."""


def asked(began: datetime, ended: datetime) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Each request by its name: the path and the parameters."""
    week = {"since": (ended - 7 * DAY).isoformat(), "until": (ended - 6 * DAY).isoformat()}
    return {
        "contacts": ("contacts", {}),
        "contacts, an id's beginning": ("contacts", {"id_prefix": "user-777"}),
        "contacts, an email": ("contacts", {"email": "u4242@people.test"}),
        "contacts, an attribute of a third": ("contacts", {"attribute": "plan:team"}),
        "contacts, an attribute of one": ("contacts", {"attribute": "seat:4242"}),
        "a contact's events": ("contacts/user-42/events", {}),
        "a contact's messages": ("contacts/user-42/messages", {}),
        "a contact's enrollments": ("contacts/user-42/enrollments", {}),
        "enrollments of a track": ("enrollments", {"track": "track-3"}),
        "enrollments, active": ("enrollments", {"status": "active"}),
        "events": ("events", {}),
        "events of a rare name": ("events", {"name": "order.refunded"}),
        "events of a day": ("events", week),
        "messages": ("messages", {}),
        "messages of a track": ("messages", {"track": "track-3"}),
        "messages of a step": ("messages", {"track": "track-3", "step": "step-2"}),
        "messages, unknown": ("messages", {"status": "unknown"}),
        "messages, skipped, of a track": ("messages", {"track": "track-3", "status": "skipped"}),
        "messages, complained": ("messages", {"delivery": "complained"}),
        "messages, delayed, of a day": ("messages", {"delivery": "delayed"} | week),
        "messages of a template": ("messages", {"template": "template-3"}),
        "messages of a rare template": ("messages", {"template": "template-29"}),
        "messages of a template's version": ("messages", {"template": "template-3", "template_version": 1}),
        "messages of a template, unknown": ("messages", {"template": "template-3", "status": "unknown"}),
        "messages of a template, failed": ("messages", {"template": "template-3", "status": "failed"}),
        "messages of a template, skipped": ("messages", {"template": "template-3", "status": "skipped"}),
        "messages of a template, of a track": ("messages", {"template": "template-3", "track": "track-3"}),
        "messages of a template, bounced": ("messages", {"template": "template-3", "delivery": "bounced"}),
        "messages of a day": ("messages", week),
    }


async def bench(console: Console, *, contacts: int, messages: int) -> tuple[list[Row], list[Pair]]:
    """The report; there is nothing to compare with, so there are no pairs."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        async with _filled(Path(name), contacts, messages, console) as (api, began, ended):
            rows = []
            for what, (path, parameters) in asked(began, ended).items():
                times, found = await _timed(api, path, parameters)
                rows.append(alone(f"{what} ({found}), ms", [median(times)], at_most=BUDGET))
            return rows, []


async def _timed(api: httpx.AsyncClient, path: str, parameters: Mapping[str, Any]) -> tuple[list[float], int]:
    """Milliseconds of each answer, and how many the page has. Raises where the API refuses."""
    times, found = [], 0
    for _ in range(TIMES):
        before = time.perf_counter()
        answer = (await api.get(f"/v1/{path}", params=dict(parameters))).raise_for_status()
        times.append((time.perf_counter() - before) * 1000)
        found = next(len(value) for value in answer.json().values() if isinstance(value, list))
    return times, found


@asynccontextmanager
async def _filled(
    folder: Path, contacts: int, messages: int, console: Console
) -> AsyncIterator[tuple[httpx.AsyncClient, datetime, datetime]]:
    """The API over a database with so many rows, and when its first and last message was made."""
    postgres = Postgres(folder / "postgres", any_free(), "lists", log=folder / "postgres.log")
    ended = datetime.now(UTC)
    began = ended - 90 * DAY
    gap = int(90 * DAY / timedelta(milliseconds=1)) // messages
    try:
        url = await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(upgrade, url)
        database = Database(url, 5)
        numbers = {"contacts": contacts, "messages": messages, "began": int(began.timestamp() * 1000), "gap": gap}
        for statement in FILL:
            before = time.monotonic()
            wanted = text(statement)
            async with database.transaction() as tx:
                await tx.execute(wanted, {name: numbers[name] for name in wanted.compile().params})
            console.print(f"{statement.split('(')[0].split('SELECT')[0].strip()}: {time.monotonic() - before:.0f} s")
        async with database.transaction() as tx:
            await tx.execute(text("ANALYZE"))
            _, key = await api_keys.create(tx, "bench")
        settings = Settings(DATABASE_URL=SecretStr(url), secret=SecretStr("bench-secret-of-at-least-32-characters"))
        transport = httpx.ASGITransport(create_app(settings, database))
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as api:
            yield api, began, ended
        await database.close()
    finally:
        postgres.stop()
