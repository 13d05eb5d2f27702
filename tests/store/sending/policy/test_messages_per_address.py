"""No address gets more messages in a short time than the policy allows, from any track, also without a policy."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.operations import doctor
from store.schema.rows import Enrollment
from store.sending.ledger import Claim
from tests.store.sending.claims import MANY, claim, publish, several
from tests.store.store_calls import NOW, StoreCalls
from tracks.policy.workspace_policy import NO_POLICY

HOUR, DAY = NO_POLICY.breaker.address_per_hour, NO_POLICY.breaker.address_per_day
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def people(store: StoreCalls, count: int, **more: Any) -> list[Enrollment]:
    await store.publish(MANY)
    await store.contact()
    return await several(store, count, **more)


def said(one: Claim) -> tuple[str, str, datetime | None]:
    return one.decision, one.reason, one.until


@pytest.mark.parametrize("transactional", [False, True])
async def test_one_too_many_within_an_hour_waits_until_the_hour_is_over(store: StoreCalls, transactional: bool) -> None:
    runs = await people(store, HOUR + 2)
    for number, run in enumerate(runs[:HOUR]):
        assert (await claim(store, run, NOW + number * SECOND, transactional=transactional)).decision == "granted"
    first, second = runs[HOUR:]
    held = await claim(store, first, NOW + MINUTE, transactional=transactional)
    assert said(held) == ("deferred", f"flood: all {HOUR} per 1h", NOW + timedelta(hours=1))
    assert (await claim(store, first, NOW + timedelta(hours=1), transactional=transactional)).decision == "granted"
    again = await claim(store, second, NOW + timedelta(hours=1), transactional=transactional)
    assert said(again)[2] == NOW + timedelta(hours=1, seconds=1)


async def test_a_day_has_its_own_bound(store: StoreCalls) -> None:
    runs = await people(store, DAY + 1)
    for number, run in enumerate(runs[:DAY]):
        assert (await claim(store, run, NOW + number * 4 * MINUTE)).decision == "granted"
    late = NOW + DAY * 4 * MINUTE
    assert said(await claim(store, runs[DAY], late)) == (
        "deferred",
        f"flood: all {DAY} per 1d",
        NOW + timedelta(days=1),
    )


async def test_others_and_their_other_channels_are_not_touched(store: StoreCalls) -> None:
    runs = await people(store, HOUR + 1)
    for run in runs[:HOUR]:
        await claim(store, run)
    assert (await claim(store, runs[HOUR], channel="sms")).decision == "granted"
    await store.contact("bob", phone=None)
    [other] = await several(store, 1, "bob")
    assert (await claim(store, other)).decision == "granted"


async def test_people_with_one_address_have_one_bound(store: StoreCalls) -> None:
    runs = await people(store, HOUR)
    for run in runs:
        await claim(store, run, transactional=True)
    await store.contact("bob", email="ANN@acme.test")
    [other] = await several(store, 1, "bob")
    assert (await claim(store, other, transactional=True)).reason.startswith("flood: ")


async def test_the_policy_says_how_many(store: StoreCalls) -> None:
    await publish(store, "breaker: {address_per_hour: 2}")
    runs = await people(store, 3)
    judged = [await claim(store, run) for run in runs]
    assert [one.reason for one in judged] == ["", "", "flood: all 2 per 1h"]


async def test_a_paced_run_counts_on_its_own_clock(store: StoreCalls) -> None:
    """A year of a paced track in minutes is no flood, and does not count toward the limit of other runs."""
    runs = await people(store, HOUR + 1, pace=86_400.0)
    for number, run in enumerate(runs):
        assert (await claim(store, run, NOW + number * SECOND)).decision == "granted"
    real = await store.enrolled("many", "ann", key="real", properties={"n": "real"})
    assert (await claim(store, real)).decision == "granted"


async def test_racing_claims_stay_within_the_bound(store: StoreCalls) -> None:
    await publish(store, "breaker: {address_per_hour: 3}")
    runs = await people(store, 8)
    judged = await asyncio.gather(*(claim(store, run) for run in runs))
    assert sorted(one.decision for one in judged) == ["deferred"] * 5 + ["granted"] * 3


async def test_the_doctor_names_those_who_would_have_too_many(store: StoreCalls) -> None:
    await publish(store, "breaker: {address_per_hour: 1}")
    runs = await people(store, 3)
    for run in runs:
        await claim(store, run)
    async with store.db.transaction() as tx:
        count, found = await doctor.flooded(tx, 1)
    assert (count, len(found), found[0].reason) == (2, 1, "flood: all 1 per 1h")
    assert found[0].enrollment_id in {run.id for run in runs[1:]}
    for run in runs[1:]:
        await store.close(run.id)
    async with store.db.transaction() as tx:
        assert await doctor.flooded(tx, 10) == (0, [])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hour=st.integers(1, 3),
    day=st.integers(1, 5),
    minutes=st.lists(st.integers(0, 2_000), min_size=1, max_size=12),
)
async def test_no_hour_and_no_day_has_more_whatever_is_asked(
    store: StoreCalls, hour: int, day: int, minutes: list[int]
) -> None:
    await publish(store, f"breaker: {{address_per_hour: {hour}, address_per_day: {day}}}")
    await store.publish(MANY)
    who = new_id()
    await store.contact(who, phone=None)
    runs = await several(store, len(minutes), who)
    queue = sorted((NOW + minute * MINUTE, n) for n, minute in enumerate(minutes))
    sent: list[datetime] = []
    while queue:
        now, n = queue.pop(0)
        judged = await claim(store, runs[n], now)
        if judged.decision == "granted":
            sent.append(now)
        elif judged.decision == "deferred":
            assert judged.until is not None and judged.until > now
            queue = sorted([*queue, (judged.until, n)])
        else:
            assert judged.reason.startswith("expired: flood: ")
    for most, span in ((hour, timedelta(hours=1)), (day, timedelta(days=1))):
        assert all(sum(at - span < other <= at for other in sent) <= most for at in sent)
