"""SES's quota: it is read from the real API's answers, the sending rate stays below it, and follows its changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.contract import ERROR_THROTTLED
from activities.providers.ports import SendingQuota
from activities.providers.provider_errors import DAILY_QUOTA, Fault
from activities.sending import queue_rates, ses_quota
from activities.sending.breakers_and_quota import QUOTA, Watch
from activities.shared.temporal_errors import again_later
from store.engine.background import periodic_jobs
from store.engine.database import Database
from store.engine.sql import utc_now
from store.sending.policy import breakers
from store.sending.policy.breakers import Breaker
from tests.activities.activity_runner import ActivityRunner, SandboxProviders
from tests.conftest import DevServer

EMAIL = breakers.account("email")


@pytest.fixture
def account(providers: SandboxProviders) -> Any:
    """Changes SES's answers about the account."""
    url = providers.sandbox.url

    def change(**said: Any) -> None:
        httpx.post(f"{url}/_control/account", json=said).raise_for_status()

    yield change
    change(Max24HourSend=1e6, MaxSendRate=500.0, SentLast24Hours=0.0, SendingEnabled=True, EnforcementStatus="HEALTHY")


async def standing(db: Database) -> Breaker | None:
    async with db.transaction() as tx:
        return await breakers.find(tx, EMAIL)


async def test_a_used_up_day_holds_all_but_transactional_mail_until_there_is_room(
    runner: ActivityRunner, dev_server: DevServer, account: Any
) -> None:
    client: Client = await dev_server.connect()
    settings = runner.providers.settings(queue_rates={})
    watch = Watch(runner.db, runner.activities.providers.email, client, settings)

    async def look() -> None:
        async with runner.db.transaction() as tx:
            await periodic_jobs.again(tx, QUOTA, utc_now() - timedelta(seconds=1))
        await watch.look_at_quota()

    await queue_rates.write(client, queue_rates.QUEUES["email"], None, "test")
    account(Max24HourSend=50_000, MaxSendRate=14, SentLast24Hours=48_000)
    await look()
    assert await standing(runner.db) is None
    assert (await queue_rates.read(client, queue_rates.QUEUES["email"])).set_here == pytest.approx(11.2)
    account(SentLast24Hours=49_200)
    await look()
    held = await standing(runner.db)
    assert held is not None and (held.state, held.cause) == ("open", "provider")
    assert held.reason == "49200 of 50000 emails in 24 hours"
    waits = await runner.send("hello")
    assert (waits.outcome, waits.reason) == ("deferred", f"breaker: {EMAIL}")
    assert (await runner.send("receipt")).outcome == "sent"
    account(SentLast24Hours=48_000)
    await look()
    assert (await standing(runner.db)) == held, "not enough room yet"
    account(SentLast24Hours=40_000)
    await look()
    resumed = await standing(runner.db)
    assert resumed is not None and resumed.state == "resuming"
    assert resumed.per_second == pytest.approx(11.2)
    assert (await runner.send("hello")).outcome == "sent"
    account(SendingEnabled=False, EnforcementStatus="SHUTDOWN")
    await look()
    stopped = await standing(runner.db)
    assert stopped is not None and stopped.reason == "Amazon has paused sending (SHUTDOWN)"
    await queue_rates.write(client, queue_rates.QUEUES["email"], None, "test")


async def test_a_quota_that_is_not_due_is_not_asked_for(
    runner: ActivityRunner, dev_server: DevServer, account: Any
) -> None:
    account(SendingEnabled=False)
    async with runner.db.transaction() as tx:
        await periodic_jobs.again(tx, QUOTA, utc_now() + timedelta(minutes=1))
    email = runner.activities.providers.email
    await Watch(runner.db, email, await dev_server.connect(), runner.providers.settings()).look_at_quota()
    assert await standing(runner.db) is None


async def test_ses_saying_that_the_day_is_used_up_holds_the_others_at_once(runner: ActivityRunner) -> None:
    runner.providers.fault("ses", "daily_quota", match=runner.email)
    with pytest.raises(ApplicationError) as caught:
        await runner.send("hello")
    assert (caught.value.type, caught.value.message) == (ERROR_THROTTLED, f"ses:{DAILY_QUOTA}")
    assert caught.value.next_retry_delay is not None and caught.value.next_retry_delay >= timedelta(minutes=10)
    assert (await runner.message()).status == "released"
    held = await standing(runner.db)
    assert held is not None and held.until is not None and (held.state, held.cause) == ("open", "provider")
    assert (await runner.send("hello")).outcome == "deferred"
    assert runner.providers.accepted(runner.email) == []


async def test_a_rate_exceeded_for_a_moment_holds_nobody(runner: ActivityRunner) -> None:
    runner.providers.fault("ses", "429", match=runner.email)
    with pytest.raises(ApplicationError) as caught:
        await runner.send("hello")
    assert caught.value.message == "ses:TooManyRequestsException"
    assert await standing(runner.db) is None
    assert (await runner.send("hello")).outcome == "sent"


@given(st.none() | st.floats(0, 3600).map(lambda seconds: timedelta(seconds=seconds)))
def test_those_throttled_together_do_not_come_back_together(asked: timedelta | None) -> None:
    delays = [again_later(Fault("ses", "Throttling", retry_after=asked)).next_retry_delay for _ in range(50)]
    first = asked or timedelta(seconds=0 if asked is not None else 1)
    spread = max(first / 2, timedelta(seconds=1))
    assert all(delay is not None and first <= delay <= first + spread for delay in delays)
    assert len(set(delays)) > 40


@given(
    per_second=st.floats(0, 1000),
    per_day=st.none() | st.floats(1, 1e7),
    used=st.floats(0, 1.2),
    enabled=st.booleans(),
)
def test_the_next_look_comes_before_the_quota_can_be_used_up(
    per_second: float, per_day: float | None, used: float, enabled: bool
) -> None:
    found = SendingQuota(per_second, per_day, (per_day or 1e6) * used, enabled)
    judged, pause = ses_quota.quota_left(found), ses_quota.next_look(found)
    assert ses_quota.SOONEST <= pause <= ses_quota.LATEST
    assert not (judged.refusal and judged.enough)
    assert bool(judged.refusal) == (not enabled or (per_day is not None and used * per_day >= 0.98 * per_day))
    if pause > ses_quota.SOONEST:
        assert per_second * pause.total_seconds() <= judged.left * 1.001


async def test_credentials_that_may_not_ask_are_a_warning_and_no_reason_to_hold(
    runner: ActivityRunner, dev_server: DevServer
) -> None:
    runner.providers.fault("ses", "500", operation="read")
    email = runner.activities.providers.email
    await Watch(runner.db, email, await dev_server.connect(), runner.providers.settings()).look_at_quota()
    assert await standing(runner.db) is None
