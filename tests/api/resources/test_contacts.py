"""Contacts are created, merged, read and erased."""

from __future__ import annotations

from sqlalchemy import text

from store.engine.database import Database
from tests.api.client import Api, track


async def test_a_contact_is_created_with_its_addresses_in_one_spelling(api: Api) -> None:
    answer = await api.contact(
        "user-1", email="Ada@EXAMPLE.com", phone="+41 44 668 18 00", timezone="Europe/Zurich", locale="de_CH"
    )
    assert answer.status_code == 201
    shown = (await api.get("/v1/contacts/user-1")).json()
    assert shown == answer.json()
    assert (shown["email"], shown["phone"], shown["timezone"], shown["locale"]) == (
        "Ada@example.com",
        "+41446681800",
        "Europe/Zurich",
        "de-CH",
    )


async def test_what_a_change_does_not_name_stays_and_null_removes(api: Api) -> None:
    await api.contact("user-1", email="ada@example.com", phone="+41446681800", attributes={"role": "cto", "plan": "x"})
    answer = await api.contact("user-1", phone=None, attributes={"plan": None, "score": 3})
    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["phone"]) == ("ada@example.com", None)
    assert answer.json()["attributes"] == {"role": "cto", "score": 3}


async def test_every_bad_field_is_named_at_once(api: Api) -> None:
    answer = await api.contact("user-1", email="nope", phone="12", timezone="Mars/Olympus", locale="?", colour="red")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert problem["type"] == "urn:perennial:problem:invalid-request"
    assert {error["pointer"] for error in problem["errors"]} == {
        "#/email",
        "#/phone",
        "#/timezone",
        "#/locale",
        "#/colour",
    }
    assert all(error["detail"] for error in problem["errors"])


async def test_a_misspelt_field_is_told_what_was_meant(api: Api) -> None:
    for name, meant in (("Email", "email"), ("time_zone", "timezone"), ("attribute", "attributes"), ("role", None)):
        (error,) = (await api.contact("user-1", **{name: "x"})).json()["errors"]
        assert error["pointer"] == f"#/{name}"
        assert error["detail"] == "Extra inputs are not permitted" + (f"; did you mean '{meant}'?" if meant else "")


async def test_an_id_that_gives_the_person_away_is_refused_with_the_reason(api: Api) -> None:
    for personal, why in (("ada@example.com", "email address"), ("+41446681800", "phone number")):
        answer = await api.contact(personal)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["parameter"] == "contact_id"
        assert why in error["detail"]


async def test_who_is_not_there_is_not_found(api: Api) -> None:
    answer = await api.get("/v1/contacts/nobody")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:perennial:problem:not-found")


async def test_erasing_ends_runs_and_leaves_no_trace_of_the_person(api: Api, db: Database) -> None:
    await api.publish(track())
    await api.contact("user-1", email="ada.lovelace@example.com", attributes={"first_name": "Augusta"})
    await api.enroll("user-1", properties={"note": "likes Babbage"})
    await api.event("user-1", "email.clicked", properties={"note": "likes Babbage"})

    erased = await api.call("DELETE", "/v1/contacts/user-1")
    assert erased.json() == {"contact_id": "user-1", "existed": True, "runs_ended": 1}
    assert (await api.get("/v1/contacts/user-1")).status_code == 404

    async with db.transaction() as tx:
        tables = (await tx.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))).scalars()
        for table in tables.all():
            rows = str((await tx.execute(text(f'SELECT t::text FROM "{table}" t'))).scalars().all())
            for trace in ("lovelace", "Augusta", "Babbage"):
                assert trace not in rows, table
        ends = (await tx.execute(text("SELECT payload FROM outbox WHERE kind = 'end'"))).scalars().all()
    assert ends == [{"reason": "erased"}]


async def test_erasing_again_is_harmless(api: Api) -> None:
    await api.contact("user-1", email="ada@example.com")
    await api.call("DELETE", "/v1/contacts/user-1")
    again = await api.call("DELETE", "/v1/contacts/user-1")
    assert (again.status_code, again.json()["existed"], again.json()["runs_ended"]) == (200, False, 0)


async def test_an_event_of_an_erased_person_brings_nobody_back(api: Api) -> None:
    await api.contact("user-1", email="ada@example.com")
    await api.call("DELETE", "/v1/contacts/user-1")
    answer = await api.event("user-1", "email.clicked")
    assert (answer.status_code, answer.json()["dropped"]) == (202, "erased")
    assert (await api.get("/v1/contacts/user-1")).status_code == 404


async def test_a_wait_on_an_attribute_hears_of_its_change(api: Api, db: Database) -> None:
    steps = "  - id: renewal\n    wait_date: {attribute: renewal_date, missing: skip, past: skip}\n"
    await api.publish(track(steps=steps))
    await api.contact("user-1", attributes={"renewal_date": "2027-01-01"})
    await api.enroll("user-1")
    await api.contact("user-1", attributes={"renewal_date": "2027-01-01", "colour": "red"})
    await api.contact("user-1", attributes={"renewal_date": "2027-02-01"})
    async with db.transaction() as tx:
        told = (await tx.execute(text("SELECT payload FROM outbox WHERE kind = 'attributes'"))).scalars().all()
    assert [one["names"] for one in told] == [["renewal_date"]]
