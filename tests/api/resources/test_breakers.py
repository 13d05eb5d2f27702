"""Breakers through the API: operators read, hold and resume them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.engine.database import Database
from store.engine.sql import utc_now
from store.sending.policy import breakers
from tests.api.client import Api, track


async def test_an_operator_holds_a_track_and_lets_it_go(api: Api) -> None:
    await api.publish(track())
    assert (await api.get("/v1/breakers")).json() == {"breakers": []}
    held = await api.call("POST", "/v1/breakers/track:welcome/trip", json={"reason": "wrong price in the mail"})
    shown = held.json()
    assert (held.status_code, shown["state"], shown["cause"]) == (200, "open", "operator")
    assert (shown["reason"], shown["until"], shown["per_second"]) == ("wrong price in the mail", None, None)
    assert (await api.get("/v1/breakers")).json()["breakers"] == [shown]
    went = (await api.call("POST", "/v1/breakers/track:welcome/resume", json={"per_second": 2.5})).json()
    assert (went["state"], went["per_second"]) == ("resuming", 2.5)
    again = (await api.call("POST", "/v1/breakers/track:welcome/resume")).json()
    assert again == went, "one that is not open stays as it is"


async def test_without_a_rate_it_resumes_as_the_policy_says(api: Api) -> None:
    await api.call("POST", "/v1/breakers/account:email/trip", json={"reason": "an incident"})
    assert (await api.call("POST", "/v1/breakers/account:email/resume")).json()["per_second"] == 1.0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("track:nobody/trip", {"reason": "x"}, 404),
        ("track:nobody/resume", {}, 404),
        ("account:fax/trip", {"reason": "x"}, 422),
        ("account:sms/trip", {}, 422),
        ("account:sms/trip", {"reason": "ada@example.com complained"}, 422),
        ("account:sms/resume", {"per_second": 0}, 422),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Api, path: str, body: dict[str, object], status: int) -> None:
    assert (await api.call("POST", f"/v1/breakers/{path}", json=body)).status_code == status


async def test_prometheus_hears_of_it(api: Api, db: Database) -> None:
    async with db.transaction() as tx:
        await breakers.trip(tx, "account:email", "bounces", "30 bounces", until=utc_now() + timedelta(hours=1))
        await breakers.trip(tx, "account:sms", "operator", "x")
        await breakers.resume(tx, "account:sms", per_second=1)
    figures = (await api.get("/metrics")).text
    assert 'perennial_breaker_open{scope="account:email"} 1.0' in figures
    assert 'perennial_breaker_open{scope="account:sms"} 0.0' in figures
    assert 'perennial_breaker_held{scope="account:email"} 0.0' in figures
