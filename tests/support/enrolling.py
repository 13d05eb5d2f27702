"""Helpers for tests that need a published track with contacts."""

from __future__ import annotations

from typing import Any

from store.engine.database import Database
from store.people import contacts
from store.published import tracks
from store.runs.enrollments import enrolling
from store.runs.enrollments.enrolling import Enrol, Enrolled
from store.runs.events import events
from store.runs.events.events import Accepted, Event
from tracks.checks.track_document import parse_track
from tracks.compiler.compiler import compile_track


async def publish(database: Database, text: str) -> str:
    """Publish a track written as YAML. Returns its name."""
    track = parse_track(text, "test.yaml")
    async with database.transaction() as tx:
        await tracks.publish(tx, track, compile_track(track), text)
    return track.track


async def upsert_contact(database: Database, contact_id: str, **fields: Any) -> None:
    """Create or change a contact."""
    changes = {"email": f"{contact_id}@people.test", "timezone": "Europe/Berlin"} | fields
    async with database.transaction() as tx:
        await contacts.upsert(tx, contact_id, changes)  # type: ignore[arg-type]


async def enroll(database: Database, track: str, contact_id: str, **wish: Any) -> Enrolled:
    """Enrol a contact."""
    async with database.transaction() as tx:
        return await enrolling.enroll(tx, Enrol(track, contact_id, **wish))


async def accept_event(database: Database, contact_id: str, name: str, event_id: str, **properties: Any) -> Accepted:
    """Accept an event of a contact."""
    async with database.transaction() as tx:
        return await events.accept(tx, Event(event_id, contact_id, name, properties))
