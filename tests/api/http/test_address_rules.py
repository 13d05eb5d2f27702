"""All inputs check an address by the same rule: a contact, a batch, a file of CSV or JSON Lines, Segment."""

from __future__ import annotations

import json

import pytest

from api.resources.segment_api.segment_format import Identify, translate
from store.engine.database import Database
from store.people import contacts
from tests.api.client import Api
from tracks.contacts.import_row import BadRowError, read_line, read_values

COLUMNS = [("contact_id",), ("email",), ("phone",)]
TAKEN = [
    ("ann@example.com", "+41446681800", "ann@example.com", "+41446681800"),
    (" Ann@EXAMPLE.com ", " +41 44 668 18 00", "Ann@example.com", "+41446681800"),
    ("ann@example.com\u00a0", "\u202a+41446681800\u202c", "ann@example.com", "+41446681800"),
    ("\u200bann@müller.example", "+41446681800", "ann@müller.example", "+41446681800"),
    ("ann@xn--mller-kva.example", "+41446681800", "ann@xn--mller-kva.example", "+41446681800"),
]
REFUSED = [
    "dörte@example.com",
    "o\u2019hara@example.com",
    "a" * 65 + "@example.com",
    '"a b"@example.com',
    "a b@example.com",
]


@pytest.mark.parametrize(("email", "phone", "kept", "number"), TAKEN)
async def test_what_is_taken_is_kept_alike(
    api: Api, db: Database, email: str, phone: str, kept: str, number: str
) -> None:
    row = {"contact_id": "c-1", "email": email, "phone": phone}
    rows = [read_values(list(row.values()), COLUMNS), read_line(json.dumps(row))]
    assert [(one.email, one.phone) for one in rows] == [(kept, number)] * 2
    item = translate(0, {"type": "identify", "userId": "c-1", "traits": {"email": email, "phone": phone}})
    assert isinstance(item.action, Identify) and not item.errors
    assert (item.action.own["email"], item.action.own["phone"]) == (kept, number)
    assert (await api.contact("c-1", email=email, phone=phone)).status_code in (200, 201)
    async with db.transaction() as tx:
        found = await contacts.get(tx, "c-1")
    assert found is not None and (found.email, found.phone) == (kept, number)


@pytest.mark.parametrize("email", REFUSED)
async def test_what_could_not_be_written_to_is_refused_and_says_so(api: Api, email: str) -> None:
    row = {"contact_id": "c-1", "email": email, "phone": "+41446681800"}
    reasons = []
    with pytest.raises(BadRowError) as csv:
        read_values(list(row.values()), COLUMNS)
    with pytest.raises(BadRowError) as lines:
        read_line(json.dumps(row))
    reasons += [wrong.reason for refused in (csv, lines) for wrong in refused.value.wrong]
    item = translate(0, {"type": "identify", "userId": "c-1", "traits": {"email": email}})
    reasons += [error.detail for error in item.errors]
    answer = await api.contact("c-1", email=email)
    assert answer.status_code == 422
    reasons += [error["detail"] for error in answer.json()["errors"]]
    assert len(reasons) == 4 and len(set(reasons)) == 1


@pytest.mark.parametrize("email", ["dörte@example.com", "a" * 65 + "@example.com"])
async def test_what_could_not_be_written_to_may_be_suppressed_and_allowed_again(api: Api, email: str) -> None:
    """Older contacts may have such an address."""
    body = {"channel": "email", "address": f" {email}"}
    assert (await api.call("POST", "/v1/suppressions", json=body)).status_code == 201
    assert (await api.call("DELETE", "/v1/suppressions", json=body)).json() == {"removed": True}
