"""People live through an outage in every kind of wait, and their paths are those of people who had none.

The workers or Temporal are away for some seconds, which the processes here take for long (`bench.faults_process`).
Runs are paced: a day passes in a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest
import pytest_asyncio

from bench.faults_house import FaultyHouse
from bench.faults_load import prepare
from bench.stand import Stand

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

DAY = 86400
TRACKS = {
    "waits": """
        steps:
          - {id: settle, wait: 4d}
          - {id: use, wait_for: {event: used, within: 60d, then: [{id: heard, exit: {reason: heard}}]}}
    """,
    "listens": """
        steps:
          - {id: use, wait_for: {event: used, within: 5d, then: [{id: heard, exit: {reason: heard}}]}}
          - {id: unheard, exit: {reason: unheard}}
    """,
    "counts": """
        steps:
          - id: three
            repeat:
              times: 3
              steps: [{id: use, wait_for: {event: used, within: 60d}}, {id: mark, set: {attributes: {used: true}}}]
          - {id: done, exit: {reason: counted}}
    """,
    "sleeps": """
        goal: {event: used}
        steps:
          - {id: settle, wait: 4d}
          - {id: mark, set: {attributes: {late: true}}}
    """,
}
TELLS = {"waits": [5.0], "listens": [4.0], "counts": [3.0, 3.0, 5.0], "sleeps": [3.5]}
"""Seconds after the enrolment at which events happen, by track."""
ENDS = {"waits": "heard", "listens": "heard", "counts": "counted", "sleeps": "goal"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[FaultyHouse, Stand]]:
    house = FaultyHouse(tmp_path_factory.mktemp("house"), workers=1)
    async with house.open() as stand:
        await prepare(stand)
        for name, steps in TRACKS.items():
            await stand.publish(name, f"track: {name}\n{dedent(steps)}")
        yield house, stand


class Person:
    """One contact on one track, told events at their moments whatever is away."""

    def __init__(self, stand: Stand, track: str, contact: str) -> None:
        self._stand, self.track, self._contact = stand, track, contact
        self.run = ""

    async def enter(self) -> None:
        await self._stand.call("PUT", f"/v1/contacts/{self._contact}", {})
        wish = {"track": self.track, "contact_id": self._contact, "pace": DAY}
        self.run = (await self._stand.call("POST", "/v1/enrollments", wish))["id"]
        self.began = datetime.now(UTC)

    async def live(self) -> None:
        for number, moment in enumerate(TELLS[self.track]):
            await asyncio.sleep(max(0.0, moment - (datetime.now(UTC) - self.began).total_seconds()))
            event = {"event_id": f"{self._contact}-{number}", "contact_id": self._contact, "name": "used"}
            assert (await self._stand.call("POST", "/v1/events", event))["matched"] == 1

    async def ended(self) -> tuple[str, list[tuple[str, str]]]:
        status = "converted" if self.track == "sleeps" else "exited"
        seen: dict[str, Any] = await self._stand.until(self.run, status, seconds=60)
        return seen["end_reason"], [(entry["step"], entry["outcome"]) for entry in seen["path"]]


async def crowd(stand: Stand, name: str) -> list[Person]:
    people = [Person(stand, track, f"{name}-{track}-{number}") for track in TRACKS for number in range(3)]
    for person in people:
        await person.enter()
    return people


@pytest.mark.parametrize("away", [["worker-1", "relay"], ["temporal"]], ids="-".join)
async def test_an_outage_changes_what_is_late_and_not_what_is_true(
    home: tuple[FaultyHouse, Stand], away: list[str]
) -> None:
    house, stand = home
    calm = await crowd(stand, f"calm-{away[0]}")
    for person in calm:
        await stand.until(person.run, "waiting")
    await asyncio.gather(*(person.live() for person in calm))
    truth = [await person.ended() for person in calm]
    assert [reason for reason, _ in truth] == [ENDS[person.track] for person in calm]
    people = await crowd(stand, f"away-{away[0]}")
    for person in people:
        await stand.until(person.run, "waiting")
    for part in away:
        house.kill(part)
    await asyncio.gather(*(person.live() for person in people))
    await asyncio.sleep(3)
    await asyncio.to_thread(house.all_up)
    assert [await person.ended() for person in people] == truth
