"""Schemathesis, which knows only the OpenAPI document, finds no server error."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.http import fields
from tests.api.client import EMAIL_TEMPLATE, Api, track
from tests.api.server import serve

# A schema cannot say that a track has to exist; and a batch is accepted although some of its items are refused.
NOT_CHECKED = "positive_data_acceptance,negative_data_rejection"
SECONDS = 15
SAID = {"channel": "email", "status": "granted", "source": "signup form"}
PROJECT = Path(__file__).parents[3]


@pytest.mark.timeout(180)
async def test_no_request_that_the_document_allows_breaks_the_server(
    app: FastAPI, api: Api, key: str, tmp_path: Path
) -> None:
    await api.publish(track())
    await api.contact("user-1", email="ada@example.com")
    async with serve(app) as address:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--no-color"]
        command += ["--exclude-checks", NOT_CHECKED, "--continue-on-failure"]
        command += ["--max-time", str(SECONDS), "--max-examples", "15"]
        command += ["--generation-database", "none", "--warnings", "off"]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks", "PYTHONPATH": str(PROJECT)}
        environment["PERENNIAL_API_KEY"] = key
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_the_documents_own_examples_work(app: FastAPI, api: Api) -> None:
    paths = app.openapi()["paths"]

    def example(path: str, media_type: str) -> str:
        text: str = paths[path]["put"]["requestBody"]["content"][media_type]["example"]
        return text

    assert (await api.template("trial-welcome", example("/v1/templates/{template}", "text/plain"))).status_code == 201
    assert (await api.publish(example("/v1/tracks/{track}", "application/yaml"))).status_code == 201
    batch = paths["/v1/batch"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert (await api.call("POST", "/v1/batch", json=batch)).json()["problems"] == []


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema)


FIELDS: dict[str, tuple[Any, str, str]] = {
    "identifier": (fields.Identifier, "ab.@+-1~", "looks like a phone number"),
    "key": (fields.ObjectKey, "ab.@+-1~", "looks like a phone number"),
    "locale": (fields.Locale, "aB1-_.@", "must be a language tag"),  # of more than 35 characters
    "event": (fields.EventName, "ab .\x00\x7f\xa0\u2028", "must be 1 to 200 printable"),  # formats, and no characters
    "phone": (fields.Phone, "+0123456789 -()", "phone number"),
    "zone": (fields.Zone, "AEGMTUC+-/1", "is not an IANA time zone"),
}
"""A field, the characters that matter for its rule, and why it may refuse what its schema allows."""


@pytest.mark.parametrize(("kind", "letters", "why"), FIELDS.values(), ids=FIELDS)
def test_a_fields_schema_allows_what_is_accepted_and_little_else(kind: Any, letters: str, why: str) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    schema = adapter.json_schema()
    allows = validator(schema)
    accepted, asked = 0, st.text(letters, min_size=1, max_size=12) | st.text(max_size=12)

    @given(asked | from_schema(schema) | st.sampled_from(schema["examples"]))
    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    def compare(value: str) -> None:
        nonlocal accepted
        refused = ""
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            refused = str(error)
        accepted += not refused
        if allows.is_valid(value):
            assert not refused or why in refused
        else:
            assert refused

    compare()
    assert accepted


def from_schema(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    return st.from_regex(schema["pattern"]).map(lambda text: text[: schema.get("maxLength", 77)])


BODIES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("/v1/suppressions", "post", {"channel": "sms", "address": "a@b.test"}, False),
    ("/v1/suppressions", "post", {"channel": "email", "address": "+41446681800"}, False),
    ("/v1/suppressions", "delete", {"channel": "sms", "address": "a@b.test"}, False),
    ("/v1/suppressions", "post", {"channel": "email", "address": "a@b.test"}, True),
    ("/v1/suppressions", "post", {"channel": "sms", "address": "+41 44 668 18 00"}, True),
    ("/v1/suppressions", "post", {"channel": "email", "address": "@b.test"}, False),
    ("/v1/contacts/{contact_id}", "put", {"attributes": {"": 1}}, False),
    ("/v1/contacts/{contact_id}", "put", {"attributes": {str(n): n for n in range(501)}}, False),
    ("/v1/contacts/{contact_id}", "put", {"attributes": {"plan": "team"}}, True),
    ("/v1/deploys", "post", {"dry_run": True}, False),
    ("/v1/deploys", "post", {"dry_run": True, "policy": None, "templates": {}, "tracks": {}}, False),
    ("/v1/deploys", "post", {"dry_run": True, "policy": ""}, False),
    ("/v1/deploys", "post", {"dry_run": True, "tracks": {"A B": "track: welcome"}}, False),
    ("/v1/deploys", "post", {"dry_run": True, "policy": "topics: {}"}, True),
    ("/v1/deploys", "post", {"dry_run": True, "tracks": {"welcome": track()}}, True),
    ("/v1/templates/{template}", "put", {"source": EMAIL_TEMPLATE, "kind": "email"}, False),
    ("/v1/templates/{template}", "put", {"source": ""}, False),
    ("/v1/templates/{template}", "put", {"kind": "sms"}, False),
    ("/v1/templates/{template}", "put", {"kind": "sms", "body": ""}, False),
    ("/v1/templates/{template}", "put", {"source": EMAIL_TEMPLATE, "locales": {}}, True),
    ("/v1/templates/{template}", "put", {"kind": "sms", "body": "Hello"}, True),
    ("/v1/tracks/{track}", "put", {"track": "welcome"}, False),
    ("/v1/contacts/{contact_id}/consents", "put", {"consents": [SAID | {"topic": "No topic"}]}, False),
    ("/v1/contacts/{contact_id}/consents", "put", {"consents": [SAID]}, True),
    ("/v1/contacts/{contact_id}", "put", {"locale": ""}, False),
    ("/v1/contacts/{contact_id}", "put", {"locale": "sr_RS.UTF-8@latin", "timezone": "Etc/GMT+1"}, True),
]


async def test_bodies_are_refused_where_their_schema_says_so(app: FastAPI, api: Api) -> None:
    document = app.openapi()
    await api.contact("user-1")
    for path, method, body, right in BODIES:
        schema = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        whole = schema | {"components": document["components"]}
        assert validator(whole).is_valid(body) is right, (path, body)
        named = path.format(template="hello", track="welcome", contact_id="user-1")
        answer = await api.call(method.upper(), named, json=body)
        assert answer.is_success is right, (path, body, answer.text)


async def test_a_cursor_that_is_given_out_is_one_by_the_schema(app: FastAPI, api: Api) -> None:
    for number in range(2):
        await api.template(f"t{number}")
    (parameter,) = [
        one for one in app.openapi()["paths"]["/v1/templates"]["get"]["parameters"] if one["name"] == "cursor"
    ]
    allows = validator(parameter["schema"])
    assert allows.is_valid((await api.get("/v1/templates", limit=1)).json()["next"])
    assert not allows.is_valid("") and not allows.is_valid("0 0")
