"""The rule `unless` of a track and of the policy: who is left alone neither enters nor gets promotional messages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from audience.exclusions import exclusion_problems
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.events.events import Event
from tests.store.sending.claims import claim, publish
from tests.store.store_calls import NOW, StoreCalls, compiled
from tracks.model.message_rules import rules_of
from tracks.model.steps.effects import Email

RECENT = "[{did: order.paid, within: 3d}]"
TRACK = """
track: tips
entry: {event: app.used}
reentry: always
unless: UNLESS
steps:
  - {id: hello, email: {template: hello, from: 'Ada <ada@acme.test>', transactional: FOR_ALL}}
"""
DAY = timedelta(days=1)


def track(unless: str = RECENT, changes: Mapping[str, str] = {}, *, transactional: bool = False) -> str:
    document = TRACK.replace("unless: UNLESS\n", f"unless: {unless}\n" if unless else "")
    document = document.replace("FOR_ALL", str(transactional).lower())
    for old, new in changes.items():
        document = document.replace(old, new)
    return document


def paid(ago: timedelta, number: int = 0, **properties: Any) -> Event:
    return Event(f"p{number}", "ann", "order.paid", properties, NOW - ago)


async def enters(store: StoreCalls, name: str = "app.used") -> str:
    answer = await store.happen(name, event_id="now")
    return "enrolled" if answer.enrolled else answer.not_enrolled[0].reason


async def message_to(store: StoreCalls, document: str, **more: Any) -> str:
    """The reason with which the message of a run that is under way is skipped; empty if it is sent."""
    run = await store.live(document)
    for event in more.pop("events", ()):
        await store.accept(event)
    found = compiled(document)[0]
    message = found.steps[0].email  # type: ignore[union-attr]
    assert isinstance(message, Email)
    rules = rules_of(found, message)
    return (await claim(store, run, **{name: getattr(rules, name) for name in ("excluded", "transactional")})).reason


@pytest.mark.parametrize(("days", "outcome"), [(2.9, "unless"), (3.1, "enrolled")])
async def test_who_did_it_lately_does_not_enter(store: StoreCalls, days: float, outcome: str) -> None:
    await store.publish(track())
    await store.accept(paid(days * DAY))
    assert await enters(store) == outcome
    async with store.db.transaction() as tx:
        counted = [Drop("unless", "entry", "tips")] if outcome == "unless" else []
        assert await drop_counts.totals(tx) == counted


@pytest.mark.parametrize(("days", "reason"), [(2.9, "excluded: order.paid within 3d"), (3.1, "")])
async def test_who_did_it_lately_gets_no_message_though_the_run_is_under_way(
    store: StoreCalls, days: float, reason: str
) -> None:
    assert await message_to(store, track(), events=[paid(days * DAY)]) == reason


async def test_a_transactional_message_goes_to_everybody(store: StoreCalls) -> None:
    await publish(store, f"unless: {RECENT}")
    assert await message_to(store, track(transactional=True), events=[paid(DAY)]) == ""


async def test_the_policy_says_it_for_all_tracks_that_promote(store: StoreCalls) -> None:
    await publish(store, f"unless: {RECENT}")
    quiet = track("", {"track: tips": "track: receipts"}, transactional=True)
    await store.publish(track(""), quiet)
    await store.accept(paid(DAY))
    [answer] = await store.accept(Event("now", "ann", "app.used"))
    assert (answer.enrolled, [(one.track, one.reason) for one in answer.not_enrolled]) == (1, [("tips", "unless")])


async def test_the_policys_reason_says_that_it_is_the_policys(store: StoreCalls) -> None:
    await publish(store, f"unless: {RECENT}")
    assert await message_to(store, track(""), events=[paid(DAY)]) == "excluded by policy: order.paid within 3d"


async def test_the_event_that_would_begin_the_run_does_not_speak_against_it_but_one_more_does(
    store: StoreCalls,
) -> None:
    await store.publish(track(changes={"app.used": "order.paid"}))
    assert await enters(store, "order.paid") == "enrolled"
    await store.publish(track(changes={"app.used": "order.paid", "track: tips": "track: other"}))
    await store.accept(paid(DAY, 7))
    answer = await store.happen("order.paid", event_id="later")
    assert {one.track: one.reason for one in answer.not_enrolled}["other"] == "unless"


@pytest.mark.parametrize(
    ("unless", "outcome"),
    [
        ("['contact.attributes.plan == \"team\"']", "unless"),
        ("['contact.attributes.plan == \"free\"', {did_not: app.opened, within: 30d}]", "unless"),
        ("[{did: order.paid, times: '>= 2', within: 3d}]", "enrolled"),
        ("[{did: order.paid, within: 3d, where: event.properties.total > 50}]", "enrolled"),
        ("[{sum: order.paid.total, within: 90d, is: '> 10'}]", "unless"),
        ("[{all: [{did: order.paid, within: 3d}, 'contact.attributes.plan == \"free\"']}]", "enrolled"),
    ],
)
async def test_every_leaf_of_segments_can_say_whom(store: StoreCalls, unless: str, outcome: str) -> None:
    await store.publish(track(unless))
    await store.contact(attributes={"plan": "team"})
    await store.accept(paid(DAY, total=20))
    assert await enters(store) == outcome


@pytest.mark.parametrize(("seconds", "reason"), [(2, "excluded: order.paid within 3d"), (4, "")])
async def test_spans_pass_on_the_clock_of_the_run(store: StoreCalls, seconds: int, reason: str) -> None:
    document = track()
    await store.publish(document)
    await store.contact()
    run = await store.enrolled("tips", pace=86_400)
    await store.accept(paid(timedelta(seconds=seconds)))
    rules = rules_of(compiled(document)[0], compiled(document)[0].steps[0].email)  # type: ignore[union-attr]
    assert (await claim(store, run, excluded=rules.excluded)).reason == reason


async def test_a_contact_with_too_many_events_is_left_out_of_no_message_and_counted(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.audience.facts.MAX_EVENTS", 3)
    unless = "[{sum: order.paid.total, within: 90d, is: '> 10'}]"
    events = [paid(DAY, number, total=20) for number in range(5)]
    assert await message_to(store, track(unless), events=events) == ""
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [Drop("not judged", "message", "tips")]


async def test_an_order_and_a_claim_at_the_same_moment_never_send_after_the_order_is_known(store: StoreCalls) -> None:
    """The claim reads in its own transaction: an order that was accepted before it is always seen (law 4)."""
    document = track(changes={"reentry: always": "reentry: {per: n}"})
    await store.publish(document)
    rules = rules_of(compiled(document)[0], compiled(document)[0].steps[0].email)  # type: ignore[union-attr]
    for number in range(5):
        who = f"c{number}"
        await store.contact(who, email=f"{who}@acme.test")
        run = await store.enrolled("tips", who, key="k", properties={"n": "k"})
        order = Event(f"o{number}", who, "order.paid", {}, NOW)
        _, first = await asyncio.gather(store.accept(order), claim(store, run, excluded=rules.excluded))
        again = await store.enrolled("tips", who, key="l", properties={"n": "l"})
        assert (await claim(store, again, excluded=rules.excluded)).reason == "excluded: order.paid within 3d"
        assert first.reason in ("", "excluded: order.paid within 3d")


def test_all_mistakes_are_named_with_their_places() -> None:
    rule = [{"did": "a", "withn": "3d"}, "contact.plan == 1", {"dit": "x"}, 3, {"any": []}]
    found = dict(exclusion_problems(rule, ("unless",)))
    assert sorted(path[1] for path in found) == [0, 1, 2, 3, 4]
    assert "did you mean 'within'" in found["unless", 0, "withn"]
    [(path, words)] = exclusion_problems([{"did": "a"}] * 21, ("unless",))
    assert path == ("unless",) and "at most 20" in words
