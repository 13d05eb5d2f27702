"""Links and the picture of messages: who fetched them, their targets, and the events for tracks."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.pages.dead_link import PIXEL
from api.tracking.engagement_events import HeldTouches, HoldTimes
from settings import Settings
from store.engine.database import Database
from store.sending.feedback import engagement
from tests.api.client import Api, track
from tests.api.messages import message, rows, sending
from tests.api.tracking.test_bot_requests import BROWSERS, CHROME
from tracks.shared.link_tokens import DECOY, click_url, open_url, unsubscribe_url

SECRET = "a secret of at least thirty-two characters"
URLS = ["https://acme.test/start?email=ada@example.com#top", "https://ada:x@acme.test/docs", "http://acme.test/é x"]
HOLD = timedelta(seconds=10)
PERSON = {"user-agent": CHROME}


class Mail:
    """A message that came an hour ago, with three links."""

    def __init__(self, db: Database, anonymous: httpx.AsyncClient, message_id: str) -> None:
        self.db, self.anonymous, self.id = db, anonymous, message_id

    def path(self, link: int) -> str:
        return click_url("", SECRET, self.id, link)

    async def fetch(self, link: int, method: str = "GET", **headers: str) -> httpx.Response:
        return await self.anonymous.request(method, self.path(link), headers=PERSON | headers)

    async def age(self, seconds: float) -> None:
        """Move everything that has happened so far back by so many seconds."""
        async with self.db.transaction() as tx:
            for column in ("touch.at", "touch.due_at", "message.claimed_at"):
                table, name = column.split(".")
                await tx.execute(text(f"UPDATE {table} SET {name} = {name} - make_interval(secs => {seconds})"))

    async def tell(self, after: timedelta = HOLD) -> int:
        hold_times = HoldTimes(HOLD, timedelta(seconds=5))
        return await HeldTouches(self.db, hold_times).tell_due(datetime.now(UTC) + after)

    async def touched(self) -> list[Any]:
        return await rows(self.db, "SELECT kind, link, by, why FROM touch ORDER BY id")

    async def events(self) -> list[Any]:
        return [
            row[0]
            for row in await rows(self.db, "SELECT properties FROM event WHERE name LIKE '%ed' ORDER BY received_at")
        ]

    async def told(self) -> list[Any]:
        return [row[0] for row in await rows(self.db, "SELECT payload ->> 'matches' FROM outbox WHERE kind = 'event'")]


@pytest.fixture
async def mail(api: Api, db: Database, anonymous: httpx.AsyncClient) -> Mail:
    found = Mail(db, anonymous, await sending(api, db, "email"))
    async with db.transaction() as tx:
        await engagement.keep_links(tx, found.id, URLS)
    await found.age(3600)
    return found


async def test_a_person_is_led_to_where_the_message_said(mail: Mail) -> None:
    answers = [await mail.fetch(link) for link in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [302, 302, 302]
    assert [answer.headers["location"] for answer in answers] == [*URLS[:2], "http://acme.test/%C3%A9%20x"]
    for name, value in {
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex",
    }.items():
        assert answers[0].headers[name] == value


async def test_a_persons_click_is_told_once_the_burst_it_may_begin_is_over(mail: Mail) -> None:
    await mail.fetch(1)
    assert await mail.tell(HOLD / 2) == 0 and await mail.events() == []
    assert await mail.tell() == 1 and await mail.tell() == 0
    (event,) = await mail.events()
    about = {"message_id": mail.id, "track": "welcome", "step": "hello"}
    assert about.items() <= event.items()
    assert {name: event[name] for name in ("link", "link_number", "by")} == {
        "link": "https://acme.test/start",
        "link_number": 1,
        "by": "human",
    }
    assert await mail.told() == ['["step:email-clicked"]']


async def test_a_click_again_within_a_minute_is_the_same_click(mail: Mail) -> None:
    for _ in range(3):
        await mail.fetch(2)
    await mail.tell()
    assert len(await mail.events()) == 1 and len(await mail.touched()) == 3


@pytest.mark.parametrize("seed", range(3))
async def test_a_scanner_changes_nothing_and_a_person_a_moment_later_does(mail: Mail, seed: int) -> None:
    dice = random.Random(seed)
    way_out = unsubscribe_url("", SECRET, mail.id)
    fetches = [(mail.path(link), method) for link in (DECOY, 1, 2, 3) for method in ("GET", "HEAD")]
    fetches += [(way_out, "GET"), (way_out, "HEAD"), (open_url("", SECRET, mail.id), "GET")]
    if seed == 0:
        fetches = [fetch for fetch in fetches if fetch[0] != mail.path(DECOY)]
    dice.shuffle(fetches)
    for path, method in fetches:
        await mail.anonymous.request(method, path, headers={"user-agent": dice.choice([*BROWSERS, "curl/8", ""])})
    await mail.tell()
    assert await mail.told() == []
    assert {row[2] for row in await mail.touched() if row[0] == "click"} == {"scanner"}
    assert await rows(mail.db, "SELECT 1 FROM suppression") == []

    await mail.age(25)
    assert (await mail.fetch(2)).headers["location"] == URLS[1]
    await mail.tell()
    assert await mail.told() == ['["step:email-clicked"]']


async def test_a_click_right_after_the_delivery_is_a_machines(mail: Mail) -> None:
    await mail.age(-3598)
    await mail.fetch(1)
    assert await mail.touched() == [("click", 1, "scanner", "too soon")]
    assert [event["by"] for event in await mail.events()] == ["scanner"]


async def test_what_a_request_says_of_itself_is_told_at_once(mail: Mail) -> None:
    await mail.fetch(1, **{"sec-purpose": "prefetch"})
    await mail.fetch(2, "HEAD")
    await mail.anonymous.get(open_url("", SECRET, mail.id), headers={"user-agent": "Mozilla/5.0"})
    assert [row[2] for row in await mail.touched()] == ["prefetch", "scanner", "prefetch"]
    assert [event["by"] for event in await mail.events()] == ["prefetch", "scanner", "prefetch"]
    assert await mail.told() == []


async def test_a_fast_run_is_told_at_once(mail: Mail) -> None:
    async with mail.db.transaction() as tx:
        await tx.execute(text("UPDATE enrollment SET pace = 86400"))
    await mail.fetch(1)
    assert await mail.told() == ['["step:email-clicked"]']


async def test_the_picture_is_a_picture_and_notes_the_opening(mail: Mail) -> None:
    answer = await mail.anonymous.get(open_url("", SECRET, mail.id), headers=PERSON)
    assert (answer.content, answer.headers["content-type"], answer.status_code) == (PIXEL, "image/gif", 200)
    assert answer.headers["cache-control"] == "no-store"
    await mail.tell()
    assert [(event["by"], "link" in event) for event in await mail.events()] == [("human", False)]
    assert (await mail.anonymous.get("/o/nonsense", headers=PERSON)).content == PIXEL


async def test_whoever_fetches_it_a_message_that_is_fetched_was_sent(mail: Mail) -> None:
    assert (await message(mail.db, mail.id)).status == "sending"
    await mail.fetch(1, "HEAD")
    assert (await message(mail.db, mail.id)).status == "sent"


async def test_a_link_that_is_not_ours_leads_nowhere(mail: Mail) -> None:
    forged = [
        click_url("", "another secret", mail.id, 1),
        mail.path(4),
        unsubscribe_url("", SECRET, mail.id).replace("/u/", "/c/"),
        click_url("", SECRET, "01890a5d-ac96-774b-bcce-b302099a8057", 1),
        "/c/https:evil.test",
        mail.path(1)[:-1],
    ]
    for path in forged:
        answer = await mail.anonymous.get(path, headers=PERSON)
        assert answer.status_code == 404, path
        assert "This link does not work" in answer.text and "location" not in answer.headers
    assert await mail.touched() == []


async def test_an_erased_contacts_links_lead_nowhere(api: Api, mail: Mail) -> None:
    await mail.fetch(1)
    await api.call("DELETE", "/v1/contacts/user-1")
    assert (await mail.fetch(1)).status_code == 404
    assert await mail.tell() == 1 and await mail.told() == []
    assert await rows(mail.db, "SELECT 1 FROM touch WHERE due_at IS NOT NULL") == []


async def test_without_the_database_a_person_is_told_to_come_back(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise OSError("away")

    monkeypatch.setattr(engagement, "find", away)
    answer = await mail.fetch(1)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "try it again in a minute" in answer.text
    opened = await mail.anonymous.get(open_url("", SECRET, mail.id), headers=PERSON)
    assert (opened.status_code, opened.content) == (503, PIXEL)


async def test_one_touch_that_cannot_be_told_holds_up_no_other(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    await mail.fetch(1)
    await mail.fetch(2)
    find, seen = engagement.find, list[str]()

    async def faulty(*given: Any) -> Any:
        seen.append("")
        if len(seen) == 1:
            raise RuntimeError("a bug")
        return await find(*given)

    monkeypatch.setattr(engagement, "find", faulty)
    assert await mail.tell() == 2
    assert len(await mail.told()) == 1
    assert await mail.tell(timedelta(minutes=2)) == 1
    assert len(await mail.told()) == 2


async def test_a_text_messages_links_are_told_as_its_own(
    api: Api, db: Database, anonymous: httpx.AsyncClient, settings: Settings
) -> None:
    await api.publish(track(steps="  - {id: w, wait_for: {event: sms.clicked, within: 1d}}\n"))
    sms = Mail(db, anonymous, await sending(api, db, "sms"))
    async with db.transaction() as tx:
        await engagement.keep_links(tx, sms.id, ["https://acme.test/"])
    await sms.age(60)
    await sms.fetch(1)
    await sms.tell()
    assert await rows(db, "SELECT name FROM event") == [("sms.clicked",)]
