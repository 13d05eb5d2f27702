"""An outage happens during every kind of wait, and the runs take the same paths as runs without an outage.

The workers or Temporal are down for some seconds, which counts as long here because the processes have short timeouts
(`bench.faults.clocked_process`). Runs are paced: a day passes in a second. The runs without an outage are made once,
for both cases.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest
import pytest_asyncio

from bench.installation.one_process import Installation
from tests.faults.conftest import FaultyInstallation

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

DAY = 86400
TRACKS = {
    "waits": """
        steps:
          - {id: settle, wait: 3d}
          - {id: use, wait_for: {event: used, within: 60d, then: [{id: heard, exit: {reason: heard}}]}}
    """,
    "listens": """
        steps:
          - {id: use, wait_for: {event: used, within: 4d, then: [{id: heard, exit: {reason: heard}}]}}
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
TELLS = {"waits": [3.6], "listens": [3.0], "counts": [2.4, 2.4, 3.6], "sleeps": [2.7]}
"""Seconds after the enrolment at which events happen, by track."""
OVER = 5.2
"""Seconds after the enrolment at which the outage ends, more than `LATE` after the last wait that was due in it."""
ENDS = {"waits": "heard", "listens": "heard", "counts": "counted", "sleeps": "goal"}


class Person:
    """One contact on one track. Its events are sent at their times, whatever is down."""

    def __init__(self, installation: Installation, track: str, contact: str) -> None:
        self._installation, self.track, self._contact = installation, track, contact
        self.run = ""

    async def enter(self) -> None:
        await self._installation.call("PUT", f"/v1/contacts/{self._contact}", {})
        wish = {"track": self.track, "contact_id": self._contact, "pace": DAY}
        self.run = (await self._installation.call("POST", "/v1/enrollments", wish))["id"]
        self.began = datetime.now(UTC)

    async def live(self) -> None:
        for number, moment in enumerate(TELLS[self.track]):
            await asyncio.sleep(max(0.0, moment - (datetime.now(UTC) - self.began).total_seconds()))
            event = {"event_id": f"{self._contact}-{number}", "contact_id": self._contact, "name": "used"}
            assert (await self._installation.call("POST", "/v1/events", event))["matched"] == 1

    async def ended(self) -> tuple[str, list[tuple[str, str]]]:
        status = "converted" if self.track == "sleeps" else "exited"
        seen: dict[str, Any] = await self._installation.until(self.run, status, seconds=60)
        return seen["end_reason"], [(entry["step"], entry["outcome"]) for entry in seen["path"]]


async def crowd(installation: Installation, name: str) -> list[Person]:
    """Make three contacts on each track, and wait until all are in their first wait."""
    people = [Person(installation, track, f"{name}-{track}-{number}") for track in TRACKS for number in range(3)]
    await asyncio.gather(*(person.enter() for person in people))
    await asyncio.gather(*(installation.until(person.run, "waiting") for person in people))
    return people


Paths = list[tuple[str, list[tuple[str, str]]]]


async def ends(people: list[Person]) -> Paths:
    return list(await asyncio.gather(*(person.ended() for person in people)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def paths_without_outage(faulty: FaultyInstallation) -> Paths:
    """The paths of contacts without an outage."""
    faulty.processes.set_clock(0)
    await asyncio.to_thread(faulty.processes.all_up)
    for name, steps in TRACKS.items():
        await faulty.installation.publish(name, f"track: {name}\n{dedent(steps)}")
    people = await crowd(faulty.installation, "calm")
    await asyncio.gather(*(person.live() for person in people))
    found = await ends(people)
    assert [reason for reason, _ in found] == [ENDS[person.track] for person in people]
    return found


@pytest.mark.parametrize("away", [["worker-1", "relay"], ["temporal"]], ids="-".join)
async def test_an_outage_changes_what_is_late_and_not_what_is_true(
    faulty: FaultyInstallation, paths_without_outage: Paths, away: list[str]
) -> None:
    processes = faulty.processes
    people = await crowd(faulty.installation, f"away-{away[0]}")
    for part in away:
        processes.kill(part)
    await asyncio.gather(*(person.live() for person in people))
    last = max(person.began for person in people)
    await asyncio.sleep(max(0.0, OVER - (datetime.now(UTC) - last).total_seconds()))
    await asyncio.to_thread(processes.all_up)
    assert await ends(people) == paths_without_outage
