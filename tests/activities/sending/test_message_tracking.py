"""Messages with tracked links and opens, as they are sent."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from tests.activities.activity_runner import ActivityRunner
from tracks.shared import link_tokens

LINKS = """---
kind: email
subject: Links
---
<mjml><mj-body><mj-section><mj-column>
<mj-button href="https://acme.test/start?a=1&amp;b=2">Start</mj-button>
<mj-text><a href="https://acme.test/docs">Docs</a> <a data-track="off" href="https://acme.test/terms">Terms</a>
<a href="mailto:help@acme.test">Mail</a> <a href="{{ unsubscribe_url }}">No more</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
PLAIN = "---\nkind: email\nsubject: Plain\n---\nSee https://acme.test/docs. Leave: {{ unsubscribe_url }}\n"
TRACK = """
track: tracked
defaults:
  email: {from: ada@acme.test, track: {opens: %s}}
  sms: {from: '+15005550006'}
steps:
  - {id: hello, email: {template: links}}
  - {id: receipt, email: {template: links, transactional: true}}
  - {id: told, email: {template: links, transactional: true, track: {clicks: true}}}
  - {id: quiet, email: {template: links, track: {clicks: false}}}
  - {id: plain, email: {template: plain}}
  - {id: nudge, sms: {text: 'See https://acme.test/docs.', track: {clicks: true}}}
  - {id: long, sms: {text: '%s https://a.test', track: {clicks: true}}}
"""
CLICK = re.compile(r"/c/([\w-]{36})")
OPEN = re.compile(r"/o/([\w-]{34})")


async def enrolled(runner: ActivityRunner, opens: bool = True) -> None:
    for name, source in (("links", LINKS), ("plain", PLAIN)):
        await runner.template(name, source)
    await runner.enroll(TRACK % (str(opens).lower(), "x" * 1580))


async def kept(runner: ActivityRunner) -> list[list[str]]:
    async with runner.db.transaction() as tx:
        return list((await tx.execute(text("SELECT urls FROM message_links"))).scalars())


async def test_an_emails_links_lead_past_the_counter_and_are_kept_with_its_claim(runner: ActivityRunner) -> None:
    await enrolled(runner)
    sent = await runner.send("hello")
    (mail,) = runner.providers.accepted(runner.email)
    assert await kept(runner) == [["https://acme.test/start?a=1&b=2", "https://acme.test/docs"]]
    named = [link_tokens.verify_click("s" * 40, token) for token in CLICK.findall(mail["html"])]
    assert named == [(sent.message_id, 1), (sent.message_id, 2), (sent.message_id, link_tokens.DECOY)]
    assert [link_tokens.verify_open("s" * 40, token) for token in OPEN.findall(mail["html"])] == [sent.message_id]
    assert 'href="https://acme.test/terms"' in mail["html"] and "data-track" not in mail["html"]
    assert 'href="mailto:help@acme.test"' in mail["html"]
    assert len(CLICK.findall(mail["text"])) == 2 and "https://acme.test/terms" in mail["text"]
    assert mail["html"].count("/u/") == mail["text"].count("/u/") == 1
    assert len(mail["links"]) == 4  # a person does not see the hidden one


@pytest.mark.parametrize(
    ("step", "clicks", "opens"), [("receipt", 0, 0), ("told", 3, 0), ("quiet", 0, 1), ("hello", 3, 1)]
)
async def test_a_message_says_what_is_noted_of_it(runner: ActivityRunner, step: str, clicks: int, opens: int) -> None:
    await enrolled(runner)
    await runner.run("perennial-email", "send_email", runner.call(step))
    (mail,) = runner.providers.accepted(runner.email)
    assert (len(CLICK.findall(mail["html"])), len(OPEN.findall(mail["html"]))) == (clicks, opens)


async def test_the_tracks_defaults_turn_opens_off(runner: ActivityRunner) -> None:
    await enrolled(runner, opens=False)
    await runner.send("hello")
    (mail,) = runner.providers.accepted(runner.email)
    assert OPEN.findall(mail["html"]) == [] and len(CLICK.findall(mail["html"])) == 3


async def test_an_email_of_text_alone_has_tracked_addresses_and_no_picture(runner: ActivityRunner) -> None:
    await enrolled(runner)
    await runner.run("perennial-email", "send_email", runner.call("plain"))
    (mail,) = runner.providers.accepted(runner.email)
    assert re.fullmatch(r"See http\S+/c/[\w-]{36}\. Leave: http\S+/u/\S+", mail["text"].strip())


async def test_a_texts_links_are_tracked_where_it_says_so_and_count_towards_its_length(runner: ActivityRunner) -> None:
    await enrolled(runner)
    assert (await runner.send("nudge")).outcome == "sent"
    (sms,) = runner.providers.accepted(runner.phone)
    assert re.fullmatch(r"See http\S+/c/[\w-]{36}\.", sms["text"])
    too_long = await runner.send("long")
    assert (too_long.outcome, too_long.reason) == ("failed", "template: SmsTooLong")
