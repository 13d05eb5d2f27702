"""Programmes that count and watch events, in a whole installation: each event counts once, in the order of apps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.installation.one_process import Installation
from tests.tracks.counting_tracks import (
    AN_HOUR_AFTER_THE_LAST_CHANGE,
    FAILED_THREE_TIMES,
    NO_USE_FOR_14_DAYS,
    VIEWED_THREE_TIMES,
)

HOUR, FORTNIGHT = timedelta(hours=1), timedelta(days=14)


async def tell(installation: Installation, contact: str, name: str, *ago: float) -> list[tuple[int, int]]:
    """Send events that happened so many seconds ago. Returns how many runs each started and how many it matched."""
    answers = []
    for number, seconds in enumerate(ago):
        event = {
            "event_id": f"{contact}-{name}-{number}",
            "contact_id": contact,
            "name": name,
            "occurred_at": (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(),
        }
        answer = await installation.call("POST", "/v1/events", event)
        answers.append((answer["enrolled"], answer["matched"]))
    return answers


async def run_of(installation: Installation, contact: str) -> str:
    [run] = (await installation.call("GET", f"/v1/enrollments?contact_id={contact}"))["enrollments"]
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
    installation: Installation, programme: str, event: str, counted: str, then: str
) -> None:
    """The first event starts the run, after all of them have happened."""
    track = programme.split()[1]
    await installation.publish(track, programme)
    three, two = f"{track}-three", f"{track}-two"
    assert await tell(installation, three, event, 40, 25, 12) == [(1, 0), (0, 1), (0, 1)]
    await tell(installation, two, event, 40, 25)
    ended = await installation.until(await run_of(installation, three), "completed", seconds=20)
    assert (ends(ended, counted), ends(ended, then)) == (["happened"] * 2, ["done"])
    seen = await installation.until(await run_of(installation, two), "waiting", seconds=20)
    assert ends(seen, counted) == ["happened"]
    await installation.temporal.get_workflow_handle(seen["workflow_id"]).terminate()


async def enrolled(installation: Installation, track: str, contact: str, a_second: timedelta, phone: str) -> str:
    """Start a run on whose clock `a_second` passes in a real second."""
    await installation.call("PUT", f"/v1/contacts/{contact}", {"phone": phone})
    wish = {"track": track, "contact_id": contact, "pace": a_second.total_seconds()}
    run = (await installation.call("POST", "/v1/enrollments", wish))["id"]
    await installation.until(run, "waiting")
    return str(run)


def moments(seen: dict[str, Any], *steps: str) -> list[datetime]:
    return [datetime.fromisoformat(entry["at"]) for entry in seen["path"] if entry["step"] in steps]


async def test_the_reminder_comes_an_hour_after_the_last_of_three_changes_told_together(
    installation: Installation,
) -> None:
    await installation.publish("cart-reminder", AN_HOUR_AFTER_THE_LAST_CHANGE)
    run = await enrolled(installation, "cart-reminder", "carts-7", HOUR, "+14155550185")
    await tell(installation, "carts-7", "cart.updated", 0.0, 0.0, 0.0)
    ended = await installation.until(run, "completed", seconds=20)
    assert ends(ended, "change") == ["happened"] * 3 + ["timed_out"]
    (_, _, last, over), [reminded] = moments(ended, "change"), moments(ended, "remind")
    assert abs(over - last - HOUR) < timedelta(seconds=1)
    assert reminded == over
    assert len(await installation.accepted("+14155550185")) == 1


async def test_each_fortnight_without_use_is_told_and_a_use_ends_one_round(installation: Installation) -> None:
    await installation.publish("missed-you", NO_USE_FOR_14_DAYS)
    run = await enrolled(installation, "missed-you", "quiet-7", FORTNIGHT, "+14155550186")
    async with asyncio.timeout(20):
        for missed in (2, 4):
            while len(await installation.accepted("+14155550186")) < missed:
                await asyncio.sleep(0.05)
            if missed == 2:
                await tell(installation, "quiet-7", "app.used", 0.0, 0.0)
    await tell(installation, "quiet-7", "account.closed", 0.0)
    ended = await installation.until(run, "exited", seconds=20)
    rounds = [entry for entry in ended["path"] if entry["step"] == "used"][:-1]
    outcomes = [entry["outcome"] for entry in rounds]
    assert outcomes.count("happened") == 2
    assert outcomes.count("timed_out") == len(await installation.accepted("+14155550186")) >= 4
    at = moments({"path": rounds}, "used")
    for outcome, before, after in zip(outcomes[1:], at, at[1:], strict=False):
        apart = after - before
        assert abs(apart - FORTNIGHT) < timedelta(minutes=1) if outcome == "timed_out" else apart <= FORTNIGHT
