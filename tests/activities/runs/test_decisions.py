"""Waits and branches that read the contact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.contract import DECIDE_BRANCH, RESOLVE_WAIT, BranchCall, Decided, ResolvedWait, ResolveWaitCall
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from tests.activities.activity_runner import ActivityRunner
from tracks.runs.run_interface import Matched

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday; Berlin is an hour ahead
WAITS = """
track: waits
defaults: {timezone: America/New_York}
steps:
  - id: morning
    wait_until: {time: '09:30', weekdays: [mon, tue]}
  - id: renewal
    wait_date: {attribute: renewal_date, offset: -7d, time: '08:00', missing: skip, past: skip}
"""
BIRTHDAYS = """
track: birthdays
steps:
  - id: birthday
    wait_date: {attribute: birthday, every: year, feb_29: feb-28, date_only: true, time: '09:00', missing: exit}
"""
BRANCH = """
track: choices
steps:
  - id: hello
    email: {template: hello, from: 'ada@acme.test'}
  - id: clicked
    wait_for: {event: email.clicked, within: 1d}
  - id: by-role
    branch:
      - {when: 'contact.attributes.role == "engineer"', steps: []}
      - {when: 'enrollment.properties.order == "A-17" && enrollment.steps.hello == "sent"', steps: []}
      - {when: 'event.properties.link == "pricing" && contact.has_phone', steps: []}
      - {when: 'now > timestamp("2027-01-01T00:00:00Z") && contact.has_email', steps: []}
"""


async def resolve(runner: ActivityRunner, step: str) -> ResolvedWait:
    call = ResolveWaitCall(enrollment_id=runner.enrollment.id, step=step, now=NOW)
    found: ResolvedWait = await runner.local(RESOLVE_WAIT, call)
    return found


class TestWaits:
    async def test_a_local_time_is_the_contacts(self, runner: ActivityRunner) -> None:
        await runner.enroll(WAITS)
        assert (await resolve(runner, "morning")).at == datetime(2026, 3, 3, 8, 30, tzinfo=UTC)

    @pytest.mark.parametrize("zone", [None, "Mars/Olympus"])
    async def test_without_a_zone_the_tracks_own_counts(self, runner: ActivityRunner, zone: str | None) -> None:
        await runner.enroll(WAITS)
        await runner.store.contact(runner.contact, timezone=zone)
        assert (await resolve(runner, "morning")).at == datetime(2026, 3, 2, 14, 30, tzinfo=UTC)

    async def test_a_date_of_the_contact_moves_with_its_offset(self, runner: ActivityRunner) -> None:
        await runner.enroll(WAITS)
        await runner.store.contact(runner.contact, attributes={"renewal_date": "2026-04-06"})
        # the clocks of Berlin change on 29 March: 08:00 there is 06:00 UTC on the target date
        assert (await resolve(runner, "renewal")).at == datetime(2026, 3, 30, 6, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("value", "outcome"),
        [(None, "missing"), ("soon", "missing"), (17, "missing"), ("2026-02-30", "missing"), ("2026-03-05", "past")],
    )
    async def test_a_date_that_is_none_or_has_been_is_never_now(
        self, runner: ActivityRunner, value: Any, outcome: str
    ) -> None:
        await runner.enroll(WAITS)
        await runner.store.contact(runner.contact, attributes={"renewal_date": value})
        assert await resolve(runner, "renewal") == ResolvedWait(outcome=outcome)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("1990-03-02", "2027-03-02T09:00+01:00"),  # today at nine was before now, which is ten o'clock in Berlin
            ("--03-03", "2026-03-03T09:00+01:00"),
            ("1992-02-29", "2027-02-28T09:00+01:00"),
            ("1990-03-09T00:00:00.000Z", "2026-03-09T09:00+01:00"),
        ],
    )
    async def test_a_birthday_comes_every_year(self, runner: ActivityRunner, value: str, expected: str) -> None:
        await runner.enroll(BIRTHDAYS)
        await runner.store.contact(runner.contact, attributes={"birthday": value})
        assert await resolve(runner, "birthday") == ResolvedWait(outcome="at", at=datetime.fromisoformat(expected))

    async def test_a_birthday_that_is_no_date_is_missing(self, runner: ActivityRunner) -> None:
        await runner.enroll(BIRTHDAYS)
        await runner.store.contact(runner.contact, attributes={"birthday": "in spring"})
        assert await resolve(runner, "birthday") == ResolvedWait(outcome="missing")

    async def test_an_erased_contact_waits_for_nothing(self, runner: ActivityRunner) -> None:
        await runner.enroll(WAITS)
        await runner.erase()
        assert await resolve(runner, "morning") == ResolvedWait(outcome="ended")


class TestBranches:
    @pytest.mark.parametrize(
        ("attributes", "steps", "link", "now", "index"),
        [
            ({"role": "engineer"}, {}, None, NOW, 0),
            ({}, {"hello": "sent"}, None, NOW, 1),
            ({"role": "founder"}, {"hello": "failed"}, "pricing", NOW, 2),
            ({}, {}, None, NOW.replace(year=2028), 3),
            ({}, {}, "docs", NOW, -1),
        ],
        ids=["contact", "enrollment", "event", "now", "none"],
    )
    async def test_the_first_case_that_holds_is_taken(
        self,
        runner: ActivityRunner,
        attributes: dict[str, Any],
        steps: dict[str, str],
        link: str | None,
        now: datetime,
        index: int,
    ) -> None:
        await runner.enroll(BRANCH)
        await runner.store.contact(runner.contact, attributes=attributes)
        event = None if link is None else Matched(event_id="e", name="n", at=NOW, properties={"link": link})
        call = BranchCall(enrollment_id=runner.enrollment.id, step="by-role", now=now, event=event, steps=steps)
        assert await runner.local(DECIDE_BRANCH, call) == index

    async def test_a_case_that_cannot_be_computed_is_told_to_the_run_and_counted(self, runner: ActivityRunner) -> None:
        await runner.enroll(BRANCH.replace('contact.attributes.role == "engineer"', "contact.attributes.score > 50"))
        await runner.store.contact(runner.contact, attributes={"score": "51"})
        call = BranchCall(enrollment_id=runner.enrollment.id, step="by-role", now=NOW, steps={"hello": "sent"})
        assert await runner.local(DECIDE_BRANCH, call) == Decided(
            taken=1, notes=("`by-role` case-1 could not be decided and counts as false (condition: type)",)
        )
        async with runner.db.transaction() as tx:
            assert await drop_counts.totals(tx) == [Drop("condition: type", "branch", runner.enrollment.track)]

    async def test_an_erased_contact_takes_no_case(self, runner: ActivityRunner) -> None:
        await runner.enroll(BRANCH)
        await runner.erase()
        call = BranchCall(enrollment_id=runner.enrollment.id, step="by-role", now=NOW)
        assert await runner.local(DECIDE_BRANCH, call) == -1
