"""The page behind the link in a salesperson's task: opening it changes nothing, its buttons answer."""

from __future__ import annotations

import httpx

from store.engine.database import Database
from store.people.handoffs import answering
from store.people.handoffs import handoff as handoffs
from store.people.handoffs.handoff import Handoff
from tests.api.client import Api
from tests.api.resources.handoffs.leads import POLICY, handed, publish_policy


async def link_of(api: Api, made: Handoff) -> str:
    url: str = (await api.get(f"/v1/handoffs/{made.id}")).json()["answer_url"]
    return url


async def status(db: Database, made: Handoff) -> tuple[str, str]:
    async with db.transaction() as tx:
        found = await handoffs.get(tx, made.id)
    assert found is not None
    return found.status, found.answer_reason


async def test_opening_the_page_shows_the_lead_and_changes_nothing(
    api: Api, db: Database, anonymous: httpx.AsyncClient
) -> None:
    made = await handed(api, db)
    link = await link_of(api, made)
    for method in ("GET", "HEAD", "GET"):
        shown = await anonymous.request(method, link)
        assert shown.status_code == 200
        assert shown.headers["cache-control"] == "no-store"
    assert "Do you take this lead?" in shown.text and "Call &lt;them&gt;" in shown.text
    assert '<option value="wrong-time">Not &lt;now&gt;</option>' in shown.text
    assert await status(db, made) == ("waiting", "")


async def test_the_buttons_answer_and_the_page_then_shows_what_can_follow(
    api: Api, db: Database, anonymous: httpx.AsyncClient
) -> None:
    made = await handed(api, db)
    link = await link_of(api, made)
    taken = await anonymous.post(link, data={"say": "accepted"})
    assert (taken.status_code, await status(db, made)) == (200, ("accepted", ""))
    assert "It became a customer" in taken.text
    assert (await anonymous.post(link, data={"say": "accepted"})).status_code == 200
    late = await anonymous.post(link, data={"say": "rejected", "reason": "not-a-fit"})
    assert late.status_code == 200 and "kept as feedback" in late.text
    assert (await anonymous.post(link, data={"say": "converted"})).status_code == 200
    assert await status(db, made) == ("converted", "")


async def test_a_rejection_by_the_page_has_its_reason(api: Api, db: Database, anonymous: httpx.AsyncClient) -> None:
    made = await handed(api, db)
    shown = await anonymous.post(await link_of(api, made), data={"say": "rejected", "reason": "wrong-time"})
    assert "Reason: \u2068Not &lt;now&gt;\u2069" in shown.text
    assert await status(db, made) == ("rejected", "wrong-time")


async def test_an_answer_after_the_time_is_over_is_kept_and_the_page_says_so(
    api: Api, db: Database, anonymous: httpx.AsyncClient
) -> None:
    made = await handed(api, db)
    async with db.transaction() as tx:
        await answering.settle(tx, made.effect_key, "expired")
    link = await link_of(api, made)
    assert "still helps" in (await anonymous.get(link)).text
    late = await anonymous.post(link, data={"say": "accepted"})
    assert late.status_code == 200 and "kept as feedback" in late.text
    assert await status(db, made) == ("expired", "")


async def test_the_page_speaks_the_salespersons_language_or_else_their_browsers(
    api: Api, db: Database, anonymous: httpx.AsyncClient
) -> None:
    made = await handed(api, db)
    link = await link_of(api, made)
    french = await anonymous.get(link, headers={"accept-language": "fr-CH, de;q=0.5"})
    assert french.headers["content-language"] == "fr" and "Prenez-vous ce prospect" in french.text
    await publish_policy(api, POLICY.replace("name: Ada}", "name: Ada, language: ar}"))
    arabic = await anonymous.get(link, headers={"accept-language": "fr"})
    assert '<html lang="ar" dir="rtl">' in arabic.text and "هل تتولى" in arabic.text


async def test_a_lead_that_was_not_accepted_cannot_become_a_customer(
    api: Api, db: Database, anonymous: httpx.AsyncClient
) -> None:
    link = await link_of(api, await handed(api, db))
    refused = await anonymous.post(link, data={"say": "converted"})
    assert refused.status_code == 409 and "it was not accepted before" in refused.text


async def test_what_no_button_says_changes_nothing(api: Api, db: Database, anonymous: httpx.AsyncClient) -> None:
    made = await handed(api, db)
    link = await link_of(api, made)
    for data in ({}, {"say": "expired"}, {"say": "rejected"}, {"say": "rejected", "reason": "none-such"}):
        assert (await anonymous.post(link, data=data)).status_code == 422
    assert await status(db, made) == ("waiting", "")


async def test_a_forged_link_and_one_of_an_erased_contact_lead_to_nobody(
    api: Api, db: Database, anonymous: httpx.AsyncClient
) -> None:
    made = await handed(api, db)
    link = await link_of(api, made)
    forged = link[:-2] + ("AA" if link[-2:] != "AA" else "BB")
    for method in ("GET", "POST"):
        assert (await anonymous.request(method, forged)).status_code == 404
    await api.call("DELETE", "/v1/contacts/user-1")
    assert (await anonymous.get(link)).status_code == 404
    assert (await anonymous.post(link, data={"say": "accepted"})).status_code == 404
