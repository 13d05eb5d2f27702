"""The content of messages when they are sent: the contact's local time, valid links, texts as Liquid prints them."""

from __future__ import annotations

import re

import pytest

from activities.contract import SET_ATTRIBUTES
from store.people import contacts
from tests.activities.activity_runner import ActivityRunner

EMAIL = """---
kind: email
subject: Offer
---
<mjml><mj-body><mj-section><mj-column>
<mj-button href="https://shop.acme.test/pay?plan=team&currency=EUR&region=eu">Pay</mj-button>
<mj-text>Until {{ enrollment.properties.at | local_time | date: "%H:%M" | default: "soon" }},
<a href="{{ enrollment.properties.site | default: "" }}">your site</a>,
<a href="{{ unsubscribe_url }}">leave</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
TRACK = """
track: content
defaults:
  email: {from: ada@acme.test, track: {opens: false}}
  sms: {from: '+15005550006'}
  timezone: America/New_York
steps:
  - {id: hello, email: {template: offer}}
  - {id: nudge, sms: {text: 'Until {{ enrollment.properties.at | local_time | date: "%H:%M" | default: "soon" }}.'}}
  - id: mark
    set:
      attributes:
        at: '{{ enrollment.properties.at | local_time | date: "%H:%M" }}'
        tags: '{{ enrollment.properties.tags | join: "+" }}'
"""


async def enrolled(runner: ActivityRunner, zone: str | None) -> None:
    async with runner.db.transaction() as tx:
        await contacts.upsert(tx, runner.contact, {"timezone": zone})
    await runner.template("offer", EMAIL)
    properties = {"at": "2026-12-25T02:00:00Z", "site": "javascript:alert(1)", "tags": ["a", None, True]}
    await runner.enroll(TRACK, properties=properties)


@pytest.mark.parametrize(("zone", "time"), [("Asia/Tokyo", "11:00"), (None, "21:00")], ids=["own", "the track's"])
async def test_a_moment_is_told_by_the_contacts_clock_or_the_tracks(
    runner: ActivityRunner, zone: str | None, time: str
) -> None:
    await enrolled(runner, zone)
    await runner.send("hello")
    await runner.run("perennial-sms", "send_sms", runner.call("nudge"))
    await runner.local(SET_ATTRIBUTES, runner.call("mark"))
    assert f"Until {time}," in runner.providers.accepted(runner.email)[0]["text"]
    assert runner.providers.accepted(runner.phone)[0]["text"] == f"Until {time}."
    async with runner.db.transaction() as tx:
        contact = await contacts.get(tx, runner.contact)
    assert contact is not None and contact.attributes is not None
    assert (contact.attributes["at"], contact.attributes["tags"]) == (time, "a++true")


async def test_a_link_that_runs_does_not_go_out_and_the_others_are_tracked_as_they_are_written(
    runner: ActivityRunner,
) -> None:
    await enrolled(runner, "Europe/Berlin")
    await runner.send("hello")
    (mail,) = runner.providers.accepted(runner.email)
    assert "javascript" not in mail["html"] and "javascript" not in mail["text"]
    assert "your site" in mail["html"] and "your site," in mail["text"]
    assert re.fullmatch(r"Pay: http\S+/c/[\w-]{36}", mail["text"].splitlines()[0])
    assert "currency" not in mail["text"] and "¤" not in mail["text"]
