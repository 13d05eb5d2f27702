"""Helpers of the store's tests: make a track, a contact, an enrollment; read the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import text

from store.engine.database import Database
from store.engine.sql import utc_now
from store.people import contacts
from store.published import date_segments, tracks
from store.published.entry_rules import dates_of
from store.runs import effect_records
from store.runs.enrollments import enrolling, enrollments
from store.runs.enrollments.enrolling import Enrol, Enrolled
from store.runs.events import events
from store.runs.events.events import Accepted, Event
from store.runs.outbox.outbox import Delivery, Pending
from store.schema.rows import Channel, Enrollment
from store.sending import ledger, send_outcomes
from store.sending.messages import messages
from store.sending.messages.messages import Message
from tracks.checks.track_document import parse_track
from tracks.compiler.compiler import compile_track
from tracks.model.track import Track
from tracks.runs.program import Compiled
from tracks.runs.run_interface import RunStatus

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

WELCOME = """
track: welcome
steps:
  - id: hello
    email: {template: hello, from: 'Ada <ada@acme.test>'}
"""

TRIAL = """
track: trial
entry: {event: trial.started, where: 'event.properties.plan != "enterprise"'}
reentry: always
goal: {event: subscription.started, where: 'event.properties.amount > 0'}
exits:
  - {event: account.closed, reason: account-closed}
steps:
  - id: renewal
    wait_date: {attribute: renewal_date, offset: -7d, missing: skip, past: skip}
  - id: clicked
    wait_for:
      event: email.clicked
      where: 'event.properties.step == "hello"'
      within: 3d
      then:
        - id: by-link
          branch:
            - when: 'event.properties.link == "pricing"'
              steps:
                - id: out
                  exit: {reason: pricing}
"""


@cache
def compiled(document: str) -> tuple[Track, Compiled]:
    """The track of a document. Hypothesis publishes the same document in each of its examples."""
    track = parse_track(document, "track.yaml")
    return track, compile_track(track)


class StoreCalls:
    """Each call is a transaction of its own."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def publish(self, *documents: str) -> None:
        for document in documents:
            async with self.db.transaction() as tx:
                await tracks.publish(tx, *compiled(document), document, now=NOW)
                if dates := dates_of(compiled(document)[0]):
                    await date_segments.keep(tx, dates, now=NOW)

    async def contact(self, contact_id: str = "ann", **changes: Any) -> None:
        known: contacts.Changes = {"email": f"{contact_id}@acme.test", "phone": "+15005550009"}
        async with self.db.transaction() as tx:
            await contacts.upsert(tx, contact_id, {**known, **changes}, now=NOW)  # type: ignore[typeddict-item]

    async def enroll(self, track: str = "welcome", contact_id: str = "ann", **more: Any) -> Enrolled:
        now = more.pop("now", NOW)
        async with self.db.transaction() as tx:
            return await enrolling.enroll(tx, Enrol(track, contact_id, **more), now=now)

    async def enrolled(self, track: str = "welcome", contact_id: str = "ann", **more: Any) -> Enrollment:
        result = await self.enroll(track, contact_id, **more)
        assert result.outcome == "created" and result.enrollment is not None, result
        return result.enrollment

    async def live(self, document: str = WELCOME, contact_id: str = "ann", **more: Any) -> Enrollment:
        """Publish a track and enrol a contact who has an address."""
        await self.publish(document)
        await self.contact(contact_id)
        return await self.enrolled(compiled(document)[0].track, contact_id, **more)

    async def close(self, enrollment_id: str, status: RunStatus = "completed", **more: Any) -> bool:
        async with self.db.statement() as tx:
            return await enrollments.close(tx, enrollment_id, status, status, **{"now": NOW, **more})

    async def hold_back(self, enrollment_id: str, contact_id: str = "ann", **more: Any) -> ledger.Claim:
        """Make a deferred claim."""
        async with self.db.transaction() as tx:
            await contacts.pause(tx, contact_id, utc_now() + timedelta(days=1))
        return await self.claim(enrollment_id, **more)

    async def accept(self, *items: Event, now: datetime = NOW) -> list[Accepted]:
        async with self.db.transaction() as tx:
            return await events.accept_many(tx, items, now=now)

    async def happen(self, name: str, contact_id: str = "ann", /, event_id: str = "e1", **properties: Any) -> Accepted:
        return (await self.accept(Event(event_id, contact_id, name, properties)))[0]

    async def claim(
        self, enrollment_id: str, token: str = "t1", step: str = "hello", channel: Channel = "email", **more: Any
    ) -> ledger.Claim:
        async with self.db.transaction() as tx:
            return await ledger.claim(
                tx, enrollment_id=enrollment_id, step=step, occurrence=1, channel=channel, token=token, **more
            )

    async def settle(self, claim: ledger.Claim, outcome: Any, token: str = "t1", **more: Any) -> Message:
        async with self.db.transaction() as tx:
            return await send_outcomes.settle(tx, claim.message_id, token=token, outcome=outcome, **more)

    async def release(self, claim: ledger.Claim, token: str = "t1", **more: Any) -> Message:
        async with self.db.transaction() as tx:
            return await send_outcomes.release(tx, claim.message_id, token=token, **more)

    async def callback(self, claim: ledger.Claim, progress: Any, **more: Any) -> Message:
        async with self.db.transaction() as tx:
            await send_outcomes.record_callbacks(tx, [send_outcomes.Callback(claim.message_id, progress, **more)])
        return await self.message(claim)

    async def resolve(self, claim: ledger.Claim, decision: Literal["assume_sent", "resend", "skip"]) -> Message:
        async with self.db.transaction() as tx:
            return await send_outcomes.resolve(tx, claim.message_id, decision)

    async def message(self, claim: ledger.Claim) -> Message:
        async with self.db.transaction() as tx:
            found = await messages.get(tx, claim.message_id)
        assert found is not None
        return found

    async def begin(self, enrollment_id: str, step: str = "mark") -> effect_records.Begun:
        async with self.db.transaction() as tx:
            return await effect_records.begin(tx, enrollment_id=enrollment_id, step=step, occurrence=1)

    async def rows(self, sql: str, **values: Any) -> Sequence[Any]:
        async with self.db.transaction() as tx:
            found: Sequence[Any] = (await tx.execute(text(sql), values)).all()
            return found

    async def waiting(self, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
        """Kind and payload of the undelivered outbox rows, in order."""
        found = await self.rows("SELECT kind, payload FROM outbox WHERE delivered_at IS NULL ORDER BY id")
        return [(row.kind, row.payload) for row in found if not kinds or row.kind in kinds]


def rows_of(found: Pending) -> list[Delivery]:
    """The rows that wait in the outbox, grouped by run."""
    return [row for run in found.runs for row in run]
