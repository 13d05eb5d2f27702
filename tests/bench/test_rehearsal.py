"""Programmes that count and watch events, rehearsed as a track's author would: exact counts, exact times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from bench.rehearsal import Rehearsed, Stage, Told, stage
from store.schema.rows import Contact
from tests.tracks.counting_tracks import (
    AN_HOUR_AFTER_THE_LAST_CHANGE,
    FAILED_THREE_TIMES,
    NO_USE_FOR_14_DAYS,
    VIEWED_THREE_TIMES,
)
from tracks.checks.track_document import parse_track

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
ANN = Contact("user_1042", phone="+14155550142", timezone="Europe/Zurich")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rehearsal() -> AsyncIterator[Stage]:
    async with stage() as opened:
        yield opened


class Played:
    """The result of a rehearsal. Its times count from the enrolment."""

    def __init__(self, began: datetime, how: Rehearsed) -> None:
        self._began, self.how = began, how

    def ends(self, step: str) -> list[str]:
        """The outcomes of the step, one for each time."""
        return [entry.outcome for entry in self.how.path if entry.step == step]

    def events(self, step: str) -> list[str]:
        """The events that ended the step."""
        return [entry.detail for entry in self.how.path if entry.step == step and entry.outcome == "happened"]

    def at(self, step: str, unit: timedelta) -> list[float]:
        """When the step ended, each time, in units. It is rounded: real seconds pass too."""
        return [round((entry.at - self._began) / unit, 2) for entry in self.how.path if entry.step == step]


async def play(rehearsal: Stage, programme: str, *events: tuple[timedelta, str]) -> Played:
    began = await rehearsal.now()
    track = parse_track(programme, "programme.yaml")
    return Played(began, await rehearsal.play(track, ANN, [Told(after, name) for after, name in events]))


@pytest.mark.parametrize(
    ("programme", "event", "counted", "then", "alone"),
    [
        (VIEWED_THREE_TIMES, "pricing.viewed", "viewed", "talk", "not-interested"),
        (FAILED_THREE_TIMES, "payment.failed", "failed", "call", "exit"),
    ],
    ids=["viewed", "failed"],
)
async def test_the_third_time_counts_and_neither_the_second_nor_one_event_twice(
    rehearsal: Stage, programme: str, event: str, counted: str, then: str, alone: str
) -> None:
    together = await play(rehearsal, programme, (DAY, event), (DAY, event))
    assert together.events(counted) == ["event-0", "event-1"]
    assert (together.ends(then), together.at(then, DAY)) == (["done"], [1.0])
    apart = await play(rehearsal, programme, (DAY, event), (6 * DAY, event), (7 * DAY, event))
    assert (apart.events(counted), apart.at(then, DAY)) == (["event-0", "event-1"], [6.0])
    twice_in_all = await play(rehearsal, programme, (DAY, event))
    assert twice_in_all.ends(counted) == ["happened", "timed_out"]
    assert (twice_in_all.how.reason, twice_in_all.ends(then)) == (alone, [])


async def test_each_change_begins_the_hour_anew(rehearsal: Stage) -> None:
    change = "cart.updated"
    for events, rounds, reminded in (
        ([], 0, 60.0),
        ([50], 1, 110.0),
        ([50, 100, 159], 3, 219.0),
        ([50, 50, 50], 3, 110.0),
        ([61], 0, 60.0),
    ):
        played = await play(rehearsal, AN_HOUR_AFTER_THE_LAST_CHANGE, *((at * MINUTE, change) for at in events))
        assert played.ends("change") == ["happened"] * rounds + ["timed_out"]
        assert played.ends("remind") == ["sent"]
        assert played.at("remind", MINUTE) == pytest.approx([reminded], abs=0.2)
    bought = await play(
        rehearsal, AN_HOUR_AFTER_THE_LAST_CHANGE, (50 * MINUTE, change), (90 * MINUTE, "order.completed")
    )
    assert (bought.how.status, bought.ends("remind")) == ("converted", [])


async def test_fourteen_days_without_use_are_told_again_and_again_and_a_use_ends_one_round(rehearsal: Stage) -> None:
    used, closed = "app.used", "account.closed"
    uses = [(10 * DAY, used), (30 * DAY, used), (30 * DAY, used), (45 * DAY, used)]
    played = await play(rehearsal, NO_USE_FOR_14_DAYS, *uses, (99 * DAY, closed))
    assert played.events("used") == ["event-0", "event-1", "event-2", "event-3"]
    assert played.at("missed-you", DAY) == [24.0, 44.0, 59.0, 73.0, 87.0]
    assert played.at("used", DAY) == [10.0, 24.0, 30.0, 30.0, 44.0, 45.0, 59.0, 73.0, 87.0, 99.0]
    assert played.how.reason == "closed"


HANDED_OVER = """
track: pricing
steps:
  - id: sales
    handoff:
      to: sales
      reason: Call them
      due: 2d
      when_none: exit
      accepted: [{id: taken, exit: {reason: with-sales}}]
      rejected:
        - id: why
          branch: [{when: 'event.properties.reason == "wrong-time"', steps: [{id: later, wait: 30d}]}]
      expired: [{id: silent, exit: {reason: nobody-answered}}]
"""


async def test_the_answers_of_sales_are_told_to_a_rehearsal_and_silence_expires(rehearsal: Stage) -> None:
    track = parse_track(HANDED_OVER, "pricing.yaml")
    silent = await rehearsal.play(track, ANN)
    assert (silent.reason, round(silent.lasted / DAY)) == ("nobody-answered", 2)
    taken = await rehearsal.play(track, ANN, [Told(HOUR, "handoff.accepted", {"step": "sales"})])
    assert (taken.reason, round(taken.lasted / HOUR)) == ("with-sales", 1)
    rejection = Told(HOUR, "handoff.rejected", {"step": "sales", "reason": "wrong-time"})
    later = await rehearsal.play(track, ANN, [rejection])
    assert [entry.step for entry in later.path] == ["sales", "why", "later"]
