"""A merged id stands for the survivor in every call that takes a contact's id, and is written into no table."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from store.people.merging.table_rules import RULES
from store.schema.tables.all_tables import metadata
from tests.api.client import Api, track

SEGMENT = """segment: known\nmembers: 'contact.attributes.plan == "team"'\n"""
SCORE = """
score: fit
half_life: 14d
fit: [{id: team, when: 'contact.attributes.plan == "team"', points: 5}]
grades: {cold: , warm: 5}
"""
NAMES = {"{segment}": "known", "{score}": "fit"}
"""What stands in the paths beside the contact."""
WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "/v1/contacts/anon-7/crm/stage", {"stage": "lead"}),
    ("PUT", "/v1/contacts/anon-7/crm/fields", {"fields": {"seats": 5}}),
    ("POST", "/v1/contacts/anon-7/crm/notes", {"body": "called", "id": "n-1"}),
    ("POST", "/v1/contacts/user-1/crm/notes", {"body": "called", "id": "n-1"}),
    ("PUT", "/v1/contacts/anon-7", {"locale": "de"}),
    ("PUT", "/v1/contacts/anon-7/consents", {"consents": [{"channel": "email", "status": "granted", "source": "x"}]}),
    ("POST", "/v1/contacts/anon-7/pause", {"until": None}),
    ("POST", "/v1/enrollments", {"track": "welcome", "contact_id": "anon-7"}),
    ("POST", "/v1/events", {"event_id": "e-1", "contact_id": "anon-7", "name": "page.viewed"}),
]


async def merged(api: Api) -> None:
    await api.publish(track())
    for path, source in (("/v1/segments/known", SEGMENT), ("/v1/scores/fit", SCORE)):
        answer = await api.call("PUT", path, content=source, headers={"Content-Type": "application/yaml"})
        assert answer.status_code == 201, answer.text
    for name in ("user-1", "anon-7"):
        await api.contact(name, attributes={"plan": "team"})
    assert (await api.call("POST", "/v1/contacts/user-1/merge", json={"from": "anon-7"})).status_code == 200


def reading(app: FastAPI) -> list[tuple[str, bool]]:
    """The calls that read and take a contact's id: the path, and whether the id is in it."""
    return [
        (path, "{contact_id}" in path)
        for path, methods in app.openapi()["paths"].items()
        if path.startswith("/v1/")
        and any(one["name"] == "contact_id" for one in methods.get("get", {}).get("parameters", ()))
    ]


async def test_every_call_that_reads_answers_for_a_merged_id_as_for_the_survivor(api: Api, app: FastAPI) -> None:
    await merged(api)
    for method, path, body in WRITES:
        answer = await api.call(method, path, json=body)
        assert answer.status_code in (200, 201, 202), (path, answer.text)
    calls = reading(app)
    assert len(calls) > 10
    for path, within in calls:
        for name, value in NAMES.items():
            path = path.replace(name, value)
        answers = [
            await api.get(path.replace("{contact_id}", one), **({} if within else {"contact_id": one}))
            for one in ("user-1", "anon-7")
        ]
        assert [answer.status_code for answer in answers] == [200, 200], (path, answers[1].text)
        survivor, named = (answer.json() for answer in answers)
        assert named == survivor, path


async def test_no_call_writes_a_merged_id_into_a_table(api: Api, app: FastAPI) -> None:
    await merged(api)
    for method, path, body in WRITES:
        assert (await api.call(method, path, json=body)).status_code < 300
    card = (await api.get("/v1/contacts/user-1/crm")).json()
    assert (card["stage"], card["fields"], len(card["notes"])) == ("lead", {"seats": 5}, 1)
    async with app.state.context.db.transaction() as tx:
        for table, rule in RULES.items():
            column = "contact_id" if "contact_id" in metadata.tables[table].c else "id"
            if rule.how != "leave" and table != "merged_id":
                statement = text(f"SELECT count(*) FROM {table} WHERE {column} = 'anon-7'")
                assert (await tx.execute(statement)).scalar_one() == 0, table
