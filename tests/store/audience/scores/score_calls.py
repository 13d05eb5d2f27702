"""Helpers for tests of scores: publish and fill them, and read values in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audience.scores.document import score_from_data
from store.audience.fills import score_fills
from store.audience.scores.checking import Checked, check
from store.audience.scores.values import VALUE_NAMES, ScoreValue, value_of
from store.published import scores
from store.published.scores import Existing
from store.published.versions import Published
from store.runs.events import events
from tests.store.store_calls import NOW, StoreCalls

GRADES = {"cold": None, "warm": 20, "hot": {"enter": 50, "leave": 40}}
VIEWED = {"id": "viewed", "event": "page.viewed", "points": 10, "half_life": "7d"}


def written(name: str, *behaviour: Any, fit: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
    """A score as data."""
    return {"score": name, "fit": list(fit), "behaviour": list(behaviour), "grades": GRADES, **more}


async def publish(
    store: StoreCalls, data: dict[str, Any], *, existing: Existing = "ignore", now: datetime = NOW
) -> Published:
    """Publish a score; its filling begins with the next `fill`."""
    async with store.db.transaction() as tx:
        return await scores.publish(tx, score_from_data(data), str(data), data, existing=existing, now=now)


async def fill(store: StoreCalls, now: datetime = NOW, *, most: int = 10_000) -> None:
    """Do all work on published versions, or at most so many chunks of it."""
    for _ in range(most):
        async with store.db.transaction() as tx:
            updated = await score_fills.step(tx, now)
            if updated is None:
                return
            await events.tell_changes(tx, updated, now=now, bulk=True)


async def live(store: StoreCalls, data: dict[str, Any], **more: Any) -> None:
    """Publish a score and fill it."""
    await publish(store, data, **more)
    await fill(store, more.get("now", NOW))


async def value(store: StoreCalls, contact_id: str, score: str) -> ScoreValue:
    """What is stored of a contact, by the version that counts."""
    (row,) = await store.rows(
        f"SELECT {VALUE_NAMES} FROM score_value v WHERE contact_id = :id AND score = :score"
        " AND version = (SELECT live FROM score WHERE name = :score)",
        id=contact_id,
        score=score,
    )
    return value_of(row)


async def grade(store: StoreCalls, contact_id: str, score: str) -> str:
    """The grade of a contact."""
    return (await value(store, contact_id, score)).grade


async def told(store: StoreCalls, contact_id: str = "ann") -> list[tuple[str, str, str]]:
    """The changes of grades that were told of a contact: score, from, to; in order."""
    rows: Sequence[Any] = await store.rows(
        "SELECT properties, event_id FROM event WHERE contact_id = :id AND name = 'score.graded' AND properties <> '{}'"
        " ORDER BY received_at, split_part(event_id, ':', 3)::int, split_part(event_id, ':', 4)::int",
        id=contact_id,
    )
    return [(row.properties["score"], row.properties["from"], row.properties["to"]) for row in rows]


async def checked(store: StoreCalls, name: str, now: datetime) -> Checked:
    """Stored values beside a full evaluation."""
    async with store.db.transaction() as tx:
        summary = await scores.get(tx, name)
        assert summary is not None
        return await check(tx, summary, now, after="", limit=1000)
