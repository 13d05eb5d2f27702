"""A segment is previewed before it is published: who would be a member, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.resources.audience import segment_previews as segments
from store.engine.database import Database
from tests.api.client import Api

NOW = datetime.now(UTC)
NOTHING = {"value": None, "left_out": 0}
RISK = """segment: churn-risk
members:
  all:
    - contact.attributes.plan == "team"
    - {did_not: app.used, within: 14d}
"""


async def preview(api: Api, source: str, **more: Any) -> dict[str, Any]:
    answer = await api.call("POST", "/v1/segments/preview", json={"source": source, **more})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def used(api: Api, who: str, days: int) -> None:
    at = (NOW - timedelta(days=days)).isoformat()
    body = {"event_id": f"{who}-{days}", "contact_id": who, "name": "app.used", "occurred_at": at}
    assert (await api.call("POST", "/v1/events", json=body)).status_code == 202


async def test_it_says_how_many_and_who(api: Api) -> None:
    for who, plan, days in (("quiet", "team", 20), ("busy", "team", 2), ("free", "free", 20), ("never", "team", None)):
        await api.contact(who, attributes={"plan": plan})
        if days is not None:
            await used(api, who, days)
    shown = await preview(api, RISK)
    assert shown["segment"] == "churn-risk" and shown["contact"] is None
    assert (shown["contacts"], shown["evaluated"], shown["members"], shown["not_judged"]) == (4, 4, 2, 0)
    assert (shown["estimate"], shown["sample"]) == ([2, 2], ["never", "quiet"])


async def test_it_says_why_and_until_when(api: Api) -> None:
    await api.contact("busy", attributes={"plan": "team"})
    await used(api, "busy", 2)
    await used(api, "busy", 20)
    decided = (await preview(api, RISK, contact_id="busy"))["contact"]
    assert (decided["contact_id"], decided["member"]) == ("busy", False)
    assert datetime.fromisoformat(decided["changes_at"]) == NOW + timedelta(days=12)
    assert decided["leaves"] == [
        {"leaf": 'contact.attributes.plan == "team"', "holds": True, "count": None, "events": [], "why": ""} | NOTHING,
        {
            "leaf": {"did_not": "app.used", "within": "14d"},
            "holds": False,
            "count": 1,
            "events": ["busy-2"],
            "why": "",
            **NOTHING,
        },
    ]


async def test_a_condition_that_cannot_be_computed_says_why(api: Api) -> None:
    await api.contact("ann")
    source = "segment: s\nmembers: contact.attributes.seats > 5"
    (leaf,) = (await preview(api, source, contact_id="ann"))["contact"]["leaves"]
    assert (leaf["holds"], leaf["why"]) == (False, "missing")


async def test_all_that_is_wrong_is_told_with_its_line_and_nobody_is_not_found(api: Api) -> None:
    broken = "segment: s\nmembers:\n  any:\n    - {dit: a}\n    - contact.x\n"
    answer = await api.call("POST", "/v1/segments/preview", json={"source": broken})
    assert answer.status_code == 422
    assert [error["line"] for error in answer.json()["errors"]] == [4, 5]
    answer = await api.call("POST", "/v1/segments/preview", json={"source": RISK, "contact_id": "nobody"})
    assert answer.status_code == 404


async def test_who_has_too_many_events_is_not_judged_and_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.audience.facts.MAX_EVENTS", 1)
    await api.contact("ann", attributes={"plan": "team"})
    await used(api, "ann", 3)
    await used(api, "ann", 2)
    conditional = RISK.replace("14d}", "14d, where: event.properties.n == 1}")
    shown = await preview(api, conditional, contact_id="ann")
    assert (shown["members"], shown["not_judged"]) == (0, 1)
    assert (shown["contact"]["member"], shown["contact"]["leaves"]) == (None, [])


async def test_of_many_contacts_a_sample_is_evaluated(api: Api, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SAMPLE", 500)
    for start in range(0, 2_000, 500):
        people = [
            {"id": f"c-{n}", "attributes": {"plan": "team" if n % 4 == 0 else "free"}}
            for n in range(start, start + 500)
        ]
        assert (await api.call("POST", "/v1/contacts/batch", json={"contacts": people})).status_code == 200
    shown = await preview(api, RISK)
    low, high = shown["estimate"]
    assert shown["contacts"] == 2_000 and 350 < shown["evaluated"] < 650
    assert low < high and low < 500 + 3 * (high - low) and high > 500 - 3 * (high - low)
    assert len(shown["sample"]) == 10


@given(st.integers(1, 3_000).flatmap(lambda judged: st.tuples(st.integers(0, judged), st.just(judged))))
def test_the_interval_is_wilsons(drawn: tuple[int, int]) -> None:
    """Its limits are the shares at which the observed share is 1.96 standard errors away."""
    members, judged = drawn
    low, high = segments._estimate(members, judged, 10**9)
    for limit in (low / 10**9, high / 10**9):
        away = abs(members / judged - limit)
        at_an_end = (members == 0 and limit < 1e-6) or (members == judged and limit > 1 - 1e-6)
        assert at_an_end or away == pytest.approx(1.96 * sqrt(limit * (1 - limit) / judged), rel=1e-3, abs=1e-6)
