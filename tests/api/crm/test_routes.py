"""The CRM's pages: only after signing in by a link, only by forms of the pages themselves, in the person's name."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.http.crm_sessions import COOKIE, CrmSessions, Pass
from store.engine.database import Database
from tests.api.client import Api
from tests.api.crm_calls import make_task
from tests.api.messages import rows


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser: it keeps cookies, and follows where an answer leads."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://nurture.acme.test", follow_redirects=True
    ) as client:
        yield client


async def link(api: Api, person: str = "ada", **body: Any) -> str:
    answer = await api.call("POST", f"/v1/crm/people/{person}/sign-in-link", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


async def sign_in(api: Api, browser: httpx.AsyncClient, person: str = "ada") -> None:
    answer = await browser.post(await link(api, person))
    assert answer.status_code == 200 and "Open tasks" in answer.text, answer.text


def token(page: httpx.Response) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="form" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


async def test_a_link_shows_a_button_and_only_pressing_it_signs_in(api: Api, browser: httpx.AsyncClient) -> None:
    address = await link(api)
    shown = await browser.get(address)
    assert shown.status_code == 200 and "Sign in as ada" in shown.text and not browser.cookies
    assert (await browser.get("/crm")).status_code == 401
    answer = await browser.post(address, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/crm")
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "secure", "samesite=lax", "path=/crm;", "expires="))
    page = await browser.get("/crm")
    assert page.status_code == 200 and "signed in as ada" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")


async def test_tasks_are_done_notes_written_and_stages_set_in_the_persons_name(
    api: Api, browser: httpx.AsyncClient, db: Database
) -> None:
    await api.contact("ann", email="ann@example.com", attributes={"first_name": "<b>Ann</b>"})
    task = await make_task(db, "ann", "Call", "ada", datetime.now(UTC) - timedelta(days=1))
    await make_task(db, "ann", "Write", None)
    await sign_in(api, browser)
    for whose, wanted in (("all", (True, True)), ("mine", (True, False)), ("nobody", (False, True))):
        text = (await browser.get("/crm", params={"whose": whose})).text
        assert (">Call</a>" in text, ">Write</a>" in text) == wanted, whose
    page = await browser.get("/crm/contacts/ann")
    assert "ann@example.com" in page.text and "&lt;b&gt;Ann" in page.text and "Overdue since" in page.text
    for data in (
        {"do": "accepted", "task": task, "note": "Wants an offer"},
        {"do": "stage", "stage": " opportunity "},
        {"do": "note", "note": "Likes\r\ntea"},
        {"do": "note", "note": " "},
    ):
        page = await browser.post("/crm/contacts/ann", data={"form": token(page), **data})
        assert page.status_code == 200, page.text
    card = (await api.get("/v1/contacts/ann/crm")).json()
    assert card["stage"] == "opportunity"
    notes = [(one["body"], one["author"]) for one in card["notes"]]
    assert notes == [("Likes\r\ntea", "ada"), ("Wants an offer", "ada")]
    found = (await api.get(f"/v1/crm/tasks/{task}")).json()
    assert (found["outcome"], found["done_by"]) == ("accepted", "ada")
    assert sorted(await rows(db, "SELECT name FROM event")) == [("crm.stage_changed",), ("crm.task_completed",)]


async def test_a_form_of_another_site_or_of_another_sign_in_does_nothing(
    api: Api, browser: httpx.AsyncClient, app: FastAPI, db: Database
) -> None:
    await api.contact("ann")
    await sign_in(api, browser)
    mine = token(await browser.get("/crm/contacts/ann"))
    await sign_in(api, browser, "eve")
    page = await browser.get("/crm/contacts/ann")
    stage = {"do": "stage", "stage": "x"}
    for data, headers in (
        (stage, {}),
        (stage | {"form": mine}, {}),
        (stage | {"form": "é"}, {}),
        (stage | {"form": token(page)}, {"Sec-Fetch-Site": "cross-site"}),
        (stage | {"form": token(page)}, {"Sec-Fetch-Site": "same-site"}),
    ):
        answer = await browser.post("/crm/contacts/ann", data=data, headers=headers)
        assert answer.status_code == 403, (data, headers)
    address = await link(api, "mallory")
    assert (await browser.post(address, headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert (await browser.post("/crm/sign-out", data={"form": mine})).status_code == 403
    assert "signed in as eve" in (await browser.get("/crm")).text
    assert (await api.get("/v1/contacts/ann/crm")).json()["stage"] is None
    answer = await browser.post("/crm/sign-out", data={"form": token(page)})
    assert answer.status_code == 401 and COOKIE not in browser.cookies


async def test_a_person_who_is_shut_out_or_whose_time_is_over_sees_nothing(
    api: Api, browser: httpx.AsyncClient, app: FastAPI
) -> None:
    sessions: CrmSessions = app.state.context.crm
    old = await link(api)
    await sign_in(api, browser)
    assert (await api.call("DELETE", "/v1/crm/people/ada")).status_code == 200
    assert (await api.call("DELETE", "/v1/crm/people/ada")).status_code == 404
    assert (await browser.get("/crm")).status_code == 401
    assert (await browser.post(old)).status_code == 401
    now = datetime.now(UTC)
    await link(api)
    for made, until in ((-9, -1), (-90000, 90000)):
        given = Pass("ada", now + timedelta(seconds=made), now + timedelta(seconds=until))
        answer = await browser.get(f"/crm/sign-in/{sessions.seal('link', given)}")
        assert answer.status_code == 401
    for forged in (
        CrmSessions("another secret").seal("link", Pass("ada", now, now + timedelta(days=1))),
        sessions.seal("session", Pass("ada", now, now + timedelta(days=1))),
        "x",
        "%C3%A9",
        "A" * 900,
    ):
        assert (await browser.get(f"/crm/sign-in/{forged}")).status_code == 401


async def test_a_session_lasts_no_longer_than_its_link(api: Api, app: FastAPI) -> None:
    sessions: CrmSessions = app.state.context.crm
    now = datetime.now(UTC)
    await link(api)
    short = Pass("ada", now + timedelta(seconds=1), now + timedelta(hours=1))
    for given, hours in ((short, 1), (Pass("ada", short.made, now + timedelta(days=9)), 12)):
        address = f"/crm/sign-in/{sessions.seal('link', given)}"
        answer = await api.client.post(address, follow_redirects=False)
        made = sessions.read("session", answer.cookies[COOKIE], now)
        assert made is not None and abs(made.until - now - timedelta(hours=hours)) < timedelta(minutes=1)


async def test_what_the_pages_do_not_offer_is_refused(api: Api, browser: httpx.AsyncClient, db: Database) -> None:
    await api.contact("ann")
    await api.contact("bob")
    task = await make_task(db, "bob")
    await sign_in(api, browser)
    form = token(await browser.get("/crm/contacts/ann"))
    for data, status in (
        ({"do": "fly"}, 422),
        ({}, 422),
        ({"do": "done", "task": task}, 422),
        ({"do": "done", "task": "1"}, 422),
    ):
        assert (await browser.post("/crm/contacts/ann", data={"form": form} | data)).status_code == status
    assert (await browser.post("/crm/contacts/nobody", data={"form": form, "do": "note"})).status_code == 404
    assert (await browser.get("/crm/contacts/nobody")).status_code == 404
    assert (await api.get(f"/v1/crm/tasks/{task}")).json()["done"] is False
    assert (await api.call("POST", "/v1/crm/people/a%20b/sign-in-link", json={"days": 91})).status_code == 422
