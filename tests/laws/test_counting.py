"""Programmes that count and watch events, in a whole installation: each event counts once, in the order of apps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.installation.one_process import Stand
from tests.tracks.programmes import (
    AN_HOUR_AFTER_THE_LAST_CHANGE,
    FAILED_THREE_TIMES,
    NO_USE_FOR_14_DAYS,
    VIEWED_THREE_TIMES,
)

HOUR, FORTNIGHT = timedelta(hours=1), timedelta(days=14)


async def tell(stand: Stand, contact: str, name: str, *ago: float) -> list[tuple[int, int]]:
    """Send events that happened so many seconds ago. Returns how many runs each started and how many it matched."""
    answers = []
    for number, seconds in enumerate(ago):
        event = {
            "event_id": f"{contact}-{name}-{number}",
            "contact_id": contact,
            "name": name,
            "occurred_at": (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(),
        }
        answer = await stand.call("POST", "/v1/events", event)
        answers.append((answer["enrolled"], answer["matched"]))
    return answers


async def run_of(stand: Stand, contact: str) -> str:
    [run] = (await stand.call("GET", f"/v1/enrollments?contact_id={contact}"))["enrollments"]
    return str(run["id"])


def ends(seen: dict[str, Any], step: str) -> list[str]:
    return [entry["outcome"] for entry in seen["path"] if entry["step"] == step]


@pytest.mark.parametrize(
    ("programme", "event", "counted", "then"),
    [
        (VIEWED_THREE_TIMES, "pricing.viewed", "viewed", "talk"),
        (FAILED_THREE_TIMES, "payment.failed", "failed", "call"),
    ],
    ids=["viewed", "failed"],
)
async def test_three_that_an_app_tells_together_afterwards_are_three_and_two_are_two(
    stand: Stand, programme: str, event: str, counted: str, then: str
) -> None:
    """The first event starts the run, after all of them have happened."""
    track = programme.split()[1]
    await stand.publish(track, programme)
    three, two = f"{track}-three", f"{track}-two"
    assert await tell(stand, three, event, 40, 25, 12) == [(1, 0), (0, 1), (0, 1)]
    await tell(stand, two, event, 40, 25)
    ended = await stand.until(await run_of(stand, three), "completed", seconds=20)
    assert (ends(ended, counted), ends(ended, then)) == (["happened"] * 2, ["done"])
    seen = await stand.until(await run_of(stand, two), "waiting", seconds=20)
    assert ends(seen, counted) == ["happened"]
    await stand.temporal.get_workflow_handle(seen["workflow_id"]).terminate()


async def enrolled(stand: Stand, track: str, contact: str, a_second: timedelta, phone: str) -> str:
    """Start a run on whose clock `a_second` passes in a real second."""
    await stand.call("PUT", f"/v1/contacts/{contact}", {"phone": phone})
    wish = {"track": track, "contact_id": contact, "pace": a_second.total_seconds()}
    run = (await stand.call("POST", "/v1/enrollments", wish))["id"]
    await stand.until(run, "waiting")
    return str(run)


def moments(seen: dict[str, Any], *steps: str) -> list[datetime]:
    return [datetime.fromisoformat(entry["at"]) for entry in seen["path"] if entry["step"] in steps]


async def test_the_reminder_comes_an_hour_after_the_last_of_three_changes_told_together(stand: Stand) -> None:
    await stand.publish("cart-reminder", AN_HOUR_AFTER_THE_LAST_CHANGE)
    run = await enrolled(stand, "cart-reminder", "carts-7", HOUR, "+14155550185")
    await tell(stand, "carts-7", "cart.updated", 0.0, 0.0, 0.0)
    ended = await stand.until(run, "completed", seconds=20)
    assert ends(ended, "change") == ["happened"] * 3 + ["timed_out"]
    (_, _, last, over), [reminded] = moments(ended, "change"), moments(ended, "remind")
    assert abs(over - last - HOUR) < timedelta(seconds=1)
    assert reminded == over
    assert len(await stand.accepted("+14155550185")) == 1


async def test_each_fortnight_without_use_is_told_and_a_use_ends_one_round(stand: Stand) -> None:
    await stand.publish("missed-you", NO_USE_FOR_14_DAYS)
    run = await enrolled(stand, "missed-you", "quiet-7", FORTNIGHT, "+14155550186")
    async with asyncio.timeout(20):
        for missed in (2, 4):
            while len(await stand.accepted("+14155550186")) < missed:
                await asyncio.sleep(0.05)
            if missed == 2:
                await tell(stand, "quiet-7", "app.used", 0.0, 0.0)
    await tell(stand, "quiet-7", "account.closed", 0.0)
    ended = await stand.until(run, "exited", seconds=20)
    rounds = [entry for entry in ended["path"] if entry["step"] == "used"][:-1]
    outcomes = [entry["outcome"] for entry in rounds]
    assert outcomes.count("happened") == 2
    assert outcomes.count("timed_out") == len(await stand.accepted("+14155550186")) >= 4
    at = moments({"path": rounds}, "used")
    for outcome, before, after in zip(outcomes[1:], at, at[1:], strict=False):
        apart = after - before
        assert abs(apart - FORTNIGHT) < timedelta(minutes=1) if outcome == "timed_out" else apart <= FORTNIGHT
