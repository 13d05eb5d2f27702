"""What segments name has to exist, goes round in no circle, and is not too much to read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audience.segments import reading_costs
from store.engine.database import Database
from tests.api.client import Api
from tests.api.resources.audience.test_segments import fill, put, read

TRACK = "track: trial\nentry: {event: trial.started}\nsteps: [{id: w, wait: 3d}]\n"


async def errors(answer: Any) -> list[tuple[int | None, str]]:
    assert answer.status_code == 422, answer.text
    return [(error.get("line"), error["detail"]) for error in answer.json()["errors"]]


async def test_all_that_does_not_exist_is_told_with_its_line(api: Api) -> None:
    source = (
        "segment: s\nmembers:\n  all:\n    - {in: vpi}\n    - {on: trial}\n    - not: {converted: trail}\n"
        "    - {consents: news}\n    - {consents: email}\n    - {did: email.clicked, topic: news, track: trial}\n"
    )
    assert (await put(api, "segment: vip\nmembers: {did: order.paid}\n", "vip")).status_code == 201
    told = await errors(await put(api, source, "s"))
    assert [line for line, _ in told] == [4, 5, 6, 7, 9, 9]
    assert told[0][1] == "there is no segment 'vpi'; did you mean 'vip'?; publish it before or with this"
    assert told[3][1] == "the policy has no topic 'news'; publish it before or with this"
    body = {"source": source}
    assert len(await errors(await api.call("POST", "/v1/segments/preview", json=body))) == 6
    policy = "topics: {news: {name: News}}\n"
    deploy = {
        "policy": policy,
        "tracks": {"trial": TRACK, "trail": TRACK.replace("trial", "trail", 1)},
        "segments": {"s": source.replace("vpi", "vip")},
    }
    assert (await api.call("POST", "/v1/deploys", json=deploy)).status_code == 200


async def test_a_circle_is_refused_and_named_also_across_files(api: Api, db: Database) -> None:
    itself = await errors(await put(api, "segment: a\nmembers: {not: {in: a}}\n", "a"))
    assert itself == [(2, "segments cannot be about each other in a circle: a → a")]
    three = {
        "a": "segment: a\nmembers: {in: b}\n",
        "b": "segment: b\nmembers:\n  any: [{did: x}, {in: c}]\n",
        "c": "segment: c\nmembers: {in: a}\n",
    }
    answer = await api.call("POST", "/v1/deploys", json={"segments": three})
    told = [(error["pointer"], error["detail"].rpartition(": ")[2]) for error in answer.json()["errors"]]
    assert told == [
        ("#/segments/a", "a → b → c → a"),
        ("#/segments/b", "b → c → a → b"),
        ("#/segments/c", "c → a → b → c"),
    ]
    straight = three | {"c": "segment: c\nmembers: {did: y}\n"}
    assert (await api.call("POST", "/v1/deploys", json={"segments": straight})).status_code == 200
    await fill(db)
    turned = {"a": "segment: a\nmembers: {did: y}\n", "c": three["c"]}
    answer = await api.call("POST", "/v1/deploys", json={"segments": turned})
    assert "by a version that still counts" in answer.json()["errors"][0]["detail"]
    for name in ("a", "c"):
        assert (await put(api, turned[name], name)).status_code == 201
        await fill(db)


async def test_a_leaf_that_would_read_too_much_is_refused_with_what_would_be_right(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_costs, "MANY_READ", 5)
    monkeypatch.setattr(reading_costs, "ENOUGH", 2)
    now = datetime.now(UTC)
    for who in ("ann", "bob"):
        for number in range(12):
            event = {
                "event_id": f"{who}-{number}",
                "contact_id": who,
                "name": "app.used",
                "occurred_at": (now - timedelta(days=2 * number)).isoformat(),
            }
            assert (await api.call("POST", "/v1/events", json=event)).status_code == 202
    leaf = "{did: app.used, where: event.properties.n > 1}"
    wide = f"segment: s\nmembers:\n  any:\n    - {leaf}\n    - {{did: app.used, times: '>= 3'}}\n"
    assert await errors(await put(api, wide, "s")) == [
        (
            4,
            "would read too much: contacts have 12 events app.used ever on average; within: 7d would be right "
            "(4 on average), or count without a condition",
        )
    ]
    right = wide.replace("app.used, where", "app.used, within: 7d, where")
    assert (await put(api, right, "s")).status_code == 201
    monkeypatch.setattr(reading_costs, "MANY_READ", 1)
    assert (await put(api, right, "s")).status_code == 200  # the same again changes nothing


async def test_the_answer_to_an_event_tells_its_changes_of_segments(api: Api, db: Database) -> None:
    await put(api, "segment: payer\nmembers: {did: order.paid}\n", "payer")
    await put(api, "segment: lead\nmembers: {not: {in: payer}}\n", "lead")
    await fill(db)
    await api.contact("ann")
    event = {"event_id": "o1", "contact_id": "ann", "name": "order.paid"}
    told = (await api.call("POST", "/v1/events", json=event)).json()["segments"]
    assert {(one["segment"], one["change"]) for one in told} == {("payer", "entered"), ("lead", "left")}
    again = await api.call("POST", "/v1/events", json=event)
    assert (again.json()["duplicate"], again.json()["segments"]) == (True, [])


async def test_it_says_why_somebody_is_out_of_reach_and_how_long_they_stay(api: Api, db: Database) -> None:
    await put(api, "segment: s\nmin_stay: 1d\nmembers:\n  all: [{reachable: email}, {not: {consents: sms}}]\n", "s")
    await fill(db)
    await api.contact("ann", email="ann@acme.test")
    shown = await read(api, "/v1/segments/s/members/ann")
    assert (shown["member"], shown["stays_until"]) == (True, None)
    address = {"channel": "email", "address": "ann@acme.test", "reason": "manual"}
    assert (await api.call("POST", "/v1/suppressions", json=address)).status_code == 201
    shown = await read(api, "/v1/segments/s/members/ann")
    assert shown["member"] and shown["stays_until"] == shown["changes_at"] is not None
    assert [leaf["why"] for leaf in shown["leaves"]] == ["suppressed: manual", "nothing said"]
    assert (await read(api, "/v1/segments/s/check"))["differences"] == []
