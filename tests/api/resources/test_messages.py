"""Messages are listed and read, with their content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store.engine.database import Database
from store.sending.messages import message_content
from store.sending.messages.message_content import MessageContent
from tests.api.client import Api
from tests.api.messages import another_day, sending


async def written(db: Database, message_id: str, **content: object) -> None:
    async with db.transaction() as tx:
        await message_content.keep(tx, message_id, "welcome", MessageContent(**content))  # type: ignore[arg-type]


async def test_who_got_a_bad_version_is_one_call(api: Api, db: Database) -> None:
    await api.template("hello")
    await api.template("hello", "---\nkind: email\nsubject: Other\n---\nHi {{ unsubscribe_url }}\n")
    sent = []
    for number in range(3):
        sent.append(await sending(api, db, "email", f"user-{number}"))
        await another_day(db)
        await written(db, sent[-1], template="hello", template_version=1 + number % 2, locale="de")
    found = (await api.get("/v1/messages", template="hello", template_version="1")).json()["messages"]
    assert [one["contact_id"] for one in found] == ["user-2", "user-0"]
    assert (found[0]["template"], found[0]["template_version"], found[0]["locale"]) == ("hello", 1, "de")
    alone = await api.get("/v1/messages", template_version="1")
    assert [error["parameter"] for error in alone.json()["errors"]] == ["template_version"]


async def test_a_message_is_read_with_what_it_was_made_of(api: Api, db: Database) -> None:
    sent = await sending(api, db, "email")
    until = datetime.now(UTC) + timedelta(days=1)
    rendering = {"subject": "Hi Ann", "html": "<p>Hi</p>", "text": "Hi"}
    await written(
        db,
        sent,
        template="hello",
        template_version=4,
        blocks={"offer": "annual"},
        subject_digest="0" * 64,
        rendering=rendering,
        kept_until=until,
    )
    shown = (await api.get(f"/v1/messages/{sent}")).json()
    assert (shown["template"], shown["template_version"], shown["blocks"]) == ("hello", 4, {"offer": "annual"})
    assert (shown["rendering"], shown["subject_digest"]) == (rendering, "0" * 64)
    assert (shown["contact_id"], shown["track"], shown["track_version"], shown["step"]) == (
        *("user-1", "welcome", 1),
        "hello",
    )
    assert "rendering" not in (await api.get("/v1/messages")).json()["messages"][0]
    await api.call("DELETE", "/v1/contacts/user-1")
    shown = (await api.get(f"/v1/messages/{sent}")).json()
    assert (shown["rendering"], shown["subject_digest"], shown["rendering_kept_until"]) == (None, None, None)
    assert shown["template_version"] == 4


async def test_a_message_of_which_nothing_was_kept_is_read_too(api: Api, db: Database) -> None:
    shown = (await api.get(f"/v1/messages/{await sending(api, db, 'sms')}")).json()
    assert (shown["template"], shown["template_version"], shown["rendering"], shown["blocks"]) == (None, None, None, {})


@pytest.mark.parametrize("name", ["nothing", "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"])
async def test_what_is_not_there_is_not_found(api: Api, name: str) -> None:
    assert (await api.get(f"/v1/messages/{name}")).status_code == 404


async def test_a_list_is_filtered_and_paged(api: Api, db: Database) -> None:
    sent = []
    for number in range(5):
        sent.append(await sending(api, db, "email" if number % 2 else "sms", "user-1", occurrence=number))
        await another_day(db)
    page = (await api.get("/v1/messages", limit="2", contact_id="user-1")).json()
    assert [one["id"] for one in page["messages"]] == sent[:2:-1]
    rest = (await api.get("/v1/messages", limit="5", contact_id="user-1", cursor=page["next"])).json()
    assert ([one["id"] for one in rest["messages"]], rest["next"]) == (sent[2::-1], None)
    texts = (await api.get("/v1/messages", channel="sms", track="welcome", status="sending")).json()["messages"]
    assert [one["id"] for one in texts] == sent[::-2]
    unlisted = await api.get("/v1/messages", delivery="delayed")
    assert [error["parameter"] for error in unlisted.json()["errors"]] == ["since"]
    assert (await api.get("/v1/messages", delivery="delayed", contact_id="user-1")).json()["messages"] == []
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await api.get("/v1/messages", since=later)).json()["messages"] == []
    assert len((await api.get("/v1/messages", until=later)).json()["messages"]) == 5
