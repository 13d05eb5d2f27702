"""An unknown query parameter is refused, like an unknown field of a body. Links and callbacks accept any."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI

from tests.api.client import Api

TAKES_ANY = ("/webhooks/", "/c/", "/o/", "/u/", "/confirm/", "/handoff/", "/crm", "/healthz", "/readyz", "/metrics")


def test_every_call_is_either_keyed_or_one_of_those_that_take_any(app: FastAPI) -> None:
    assert [path for path in app.openapi()["paths"] if not path.startswith(("/v1/", *TAKES_ANY))] == []


async def test_every_call_with_a_key_refuses_what_it_does_not_know(app: FastAPI, api: Api) -> None:
    asked = 0
    for path, methods in app.openapi()["paths"].items():
        for method, call in methods.items():
            if not path.startswith("/v1/"):
                continue
            own = [one["name"] for one in call.get("parameters", []) if one["in"] == "query"]
            address = re.sub(r"\{\w+\}", "x", path)
            answer = await api.call(method, address, params={"no-such-parameter": "1"})
            named = {one.get("parameter") for one in answer.json().get("errors", [])}
            assert (answer.status_code, "no-such-parameter" in named) == (422, True), (method, path)
            for name in own:
                answer = await api.call(method, address, params={name: "x"})
                found = [one for one in answer.json().get("errors", []) if one.get("parameter") == name]
                assert not any("Extra" in one["detail"] for one in found), (method, path, name)
            asked += 1
    assert asked >= 30


@pytest.mark.parametrize(
    ("given", "meant"), [({"trak": "x"}, "track"), ({"contact": "p1"}, "contact_id"), ({"version": "1"}, None)]
)
async def test_a_misspelt_filter_is_told_what_was_meant(api: Api, given: dict[str, str], meant: str | None) -> None:
    answer = await api.get("/v1/enrollments", **given, limit="x")
    errors = {one["parameter"]: one["detail"] for one in answer.json()["errors"]}
    (name,) = given
    assert answer.status_code == 422
    assert errors[name].startswith("Extra inputs are not permitted")
    assert (f"did you mean '{meant}'?" in errors[name]) is (meant is not None)
    assert "limit" in errors, "everything that is wrong is named at once"


async def test_without_a_key_nothing_is_told_of_parameters(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/v1/enrollments?trak=x")).status_code == 401


async def test_links_and_probes_take_whatever_a_mail_program_or_proxy_adds(anonymous: httpx.AsyncClient) -> None:
    for path, status in (("/u/nobody", 404), ("/c/nobody", 404), ("/o/nobody", 200), ("/healthz", 200)):
        assert (await anonymous.get(path, params={"utm_source": "x"})).status_code == status
