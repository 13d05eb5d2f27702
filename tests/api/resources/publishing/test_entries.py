"""Publishing tracks with several entries, dates and rules of whom they leave alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database
from tests.api.client import Api, track

DATE = "{attribute: trial_ends_on, offset: 1h}"


async def names(db: Database, table: str) -> list[str]:
    async with db.transaction() as tx:
        rows = await tx.exec_driver_sql(f"SELECT DISTINCT segment FROM {table} ORDER BY 1")
        return list(rows.scalars())


async def test_all_mistakes_of_entries_and_exclusions_are_told_at_once_with_their_lines(api: Api) -> None:
    more = (
        "entry:\n"
        "  - {event: cart.left, wher: 'true'}\n"
        "  - {date: {attribute: birthday, yearly: true}}\n"
        "  - {segment: nobody}\n"
        "unless:\n"
        "  - {did: order.paid, withn: 3d}\n"
        "  - contact.plan == 1\n"
    )
    answer = await api.publish(track("cart", more=more))
    assert answer.status_code == 422
    found = {error["line"]: error["detail"] for error in answer.json()["errors"]}
    first = answer.request.content.decode().splitlines().index("entry:") + 2
    assert "unknown key 'wher'; did you mean 'where'?" in found[first]
    assert "'feb_29' is missing" in found[first + 1]
    assert "there is no segment 'nobody'" in found[first + 2]
    assert "did you mean 'within'" in found[first + 4]
    assert "contact has no 'plan'" in found[first + 5]
    assert len(found) == 5


async def test_mistakes_of_the_policys_rule_are_told_with_its_others(api: Api) -> None:
    document = "caps:\n  - {most: 0, per: 1d}\nunless:\n  - {dit: order.paid}\n  - {did: order.paid, within: 3}\n"
    answer = await api.call(
        "PUT", "/v1/policy", content=document.encode(), headers={"content-type": "application/yaml"}
    )
    assert answer.status_code == 422
    assert [error["line"] for error in answer.json()["errors"]] == [2, 4, 5]
    as_json = await api.call("PUT", "/v1/policy", json={"unless": [{"dit": "order.paid"}]})
    assert as_json.status_code == 422


@pytest.mark.parametrize(
    ("more", "reentry", "warning"),
    [
        ("{date: {attribute: b, yearly: true, feb_29: mar-1}}", "never", "write reentry: always"),
        ("[{event: a}, {date: {attribute: b}}]", "{per: sku}", "date: has no property 'sku'"),
    ],
)
async def test_what_enrols_fewer_than_it_seems_is_worth_a_look(api: Api, more: str, reentry: str, warning: str) -> None:
    [found] = (await api.publish(track("cart", reentry=reentry, more=f"entry: {more}\n"))).json()["warnings"]
    assert warning in found["detail"]


async def test_a_track_tells_what_enrols(api: Api) -> None:
    await api.publish(track("cart", more="entry: [{event: cart.left}, {id: ends, date: {attribute: b}}]\n"))
    [listed] = (await api.get("/v1/tracks")).json()["tracks"]
    assert listed["entries"] == [
        {"entry": "cart.left", "event": "cart.left"},
        {"entry": "ends", "event": "date.reached"},
    ]


async def test_a_date_is_kept_while_the_newest_version_of_a_track_names_it(api: Api, db: Database) -> None:
    await api.publish(track("trial", more=f"entry: {{date: {DATE}}}\n"))
    [kept] = await names(db, "segment_trigger")
    assert (await api.get("/v1/segments")).json()["segments"] == []
    await api.publish(track("trial", reentry="always", more=f"entry: [{{event: a}}, {{date: {DATE}}}]\n"))
    assert await names(db, "segment_trigger") == [kept], "another version of the track, and the same date"
    await api.publish(track("trial", more="entry: {event: a}\n"))
    assert await names(db, "segment_trigger") == []


async def test_a_track_shows_how_far_contacts_are_registered_for_its_dates(api: Api, db: Database) -> None:
    await api.contact("ann")
    by_date = track("trial", more=f"entry: [{{event: a}}, {{id: ends, date: {DATE}}}]\n")
    await api.publish(by_date)

    async def shown(version: int = 1) -> list[tuple[str, str, int]]:
        found = (await api.get("/v1/tracks/trial", version=version)).json()["dates"]
        return [(one["entry"], one["state"], one["evaluated"]) for one in found]

    assert await shown() == [("ends", "filling", 0)]
    while await SegmentUpkeep(db).fill():
        pass
    assert await shown() == [("ends", "live", 1)]
    await api.publish(track("trial", more="entry: {event: a}\n"))
    while await SegmentUpkeep(db).fill():
        pass
    assert (await shown(), await shown(version=2)) == ([("ends", "ended", 1)], [])


async def test_a_dry_run_keeps_no_date(api: Api, db: Database) -> None:
    document = track("trial", more=f"entry: {{date: {DATE}}}\n")
    answer = await api.call("POST", "/v1/deploys", json={"tracks": {"trial": document}, "dry_run": True})
    assert answer.status_code == 200
    assert await names(db, "segment_version") == []


async def test_a_date_enrols_by_itself_within_seconds(api: Api, db: Database) -> None:
    ends = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=1.5)
    await api.call("PUT", "/v1/contacts/known", json={"attributes": {"trial_ends_on": ends.isoformat()}})
    await api.publish(track("trial", more=f"entry: {{date: {DATE}}}\n"))
    await api.call("PUT", "/v1/contacts/new", json={"attributes": {"trial_ends_on": ends.isoformat()}})
    past = (ends - timedelta(minutes=1)).isoformat()
    await api.call("PUT", "/v1/contacts/late", json={"attributes": {"trial_ends_on": past}})
    async with SegmentUpkeep(db), asyncio.timeout(10):
        while len(found := (await api.get("/v1/enrollments")).json()["enrollments"]) < 2:
            await asyncio.sleep(0.1)
    assert {(one["contact_id"], one["entry"]) for one in found} == {
        ("known", "trial_ends_on"),
        ("new", "trial_ends_on"),
    }


async def test_a_preview_says_when_dates_come_and_whom_the_rules_leave_alone(api: Api) -> None:
    now = datetime.now(UTC)
    for number, days in enumerate((-1, 5, 40)):
        day = (now + timedelta(days=days)).isoformat()
        await api.call("PUT", f"/v1/contacts/c{number}", json={"attributes": {"trial_ends_on": day}})
    await api.call("POST", "/v1/events", json={"event_id": "p", "contact_id": "c1", "name": "order.paid"})
    await api.call("PUT", "/v1/policy", json={"unless": [{"did_not": "order.paid"}]})
    document = track(
        "trial", more=f"entry: [{{event: a}}, {{date: {DATE}}}]\nunless: [{{did: order.paid, within: 3d}}]\n"
    )
    answer = await api.call("POST", "/v1/tracks/preview", json={"source": document})
    found = answer.json()
    assert (found["contacts"], found["evaluated"]) == (3, 3)
    plain, dated = found["entries"]
    assert (plain["entry"], plain["dated"]) == ("a", None)
    assert (dated["dated"], dated["soon"], [one["contact_id"] for one in dated["next"]]) == (2, 1, ["c1", "c2"])
    assert found["unless"] == [
        {"by": "track", "rule": "order.paid within 3d", "contacts": 1},
        {"by": "policy", "rule": "did_not order.paid", "contacts": 2},
    ]
    assert (await api.get("/v1/tracks")).json()["tracks"] == []
    wrong = document.replace("paid, within", "paid, withn").replace("{event: a}", "{evnt: a}")
    refused = await api.call("POST", "/v1/tracks/preview", json={"source": wrong})
    assert (refused.status_code, len(refused.json()["errors"])) == (422, 2)
