"""What opens a breaker: shares of the ledger's messages, compared with a simple count."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.sending.feedback import reputation
from store.sending.policy import breakers
from tests.store.store_calls import NOW, StoreCalls
from tracks.policy.workspace_policy import Breaker as Limits

GOOD, HARD, SOFT = ("delivered", ""), ("bounced", "bounce-permanent-general"), ("bounced", "bounce-transient-general")
LISTED, ABUSE = ("bounced", "bounce-permanent-onaccountsuppressionlist"), ("complained", "complaint")
REJECT, FILTERED, OFF = ("failed", "reject"), ("failed", "twilio-30007"), ("failed", "twilio-30003")
BAD = {HARD: "bounces", ABUSE: "complaints"}
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Batch:
    """A number of equal messages."""

    count: int
    fate: tuple[str, str] = GOOD
    track: str = "welcome"
    channel: str = "email"
    age: timedelta = HOUR
    pace: float = 1
    status: str = "sent"


async def write(store: StoreCalls, batches: list[Batch]) -> None:
    """Make these the only messages in the ledger, all of one run."""
    runs = await store.rows("SELECT id FROM enrollment LIMIT 1")
    run = runs[0].id if runs else (await store.live()).id
    rows = [
        {
            "count": batch.count,
            "delivery": batch.fate[0],
            "why": batch.fate[1],
            "track": batch.track,
            "channel": batch.channel,
            "at": (NOW - batch.age).isoformat(),
            "pace": batch.pace,
            "status": batch.status,
        }
        for batch in batches
    ]
    await store.rows("WITH gone AS (DELETE FROM message), too AS (DELETE FROM breaker) SELECT 1")
    await store.rows(
        """
        INSERT INTO message (id, effect_key, enrollment_id, contact_id, track, step, channel, status, token,
            delivery, delivery_reason, claimed_at, pace)
        SELECT gen_random_uuid(), gen_random_uuid()::text, CAST(:run AS uuid), 'ann', b.track, 'x', b.channel, b.status,
            '', b.delivery, b.why, b.at, b.pace
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS b (count int, delivery text, why text, track text,
            channel text, at timestamptz, pace float, status text), generate_series(1, b.count)
        RETURNING 1
        """,
        run=run,
        rows=json.dumps(rows),
    )


async def opened(store: StoreCalls, limits: Limits = Limits()) -> dict[str, str]:
    async with store.db.transaction() as tx:
        return {found.scope: cause for found, cause in await reputation.check(tx, limits, NOW)}


batches = st.builds(
    Batch,
    count=st.integers(1, 40),
    fate=st.sampled_from([GOOD, GOOD, HARD, SOFT, LISTED, ABUSE, REJECT, FILTERED, OFF]),
    track=st.sampled_from(["welcome", "trial"]),
    channel=st.sampled_from(["email", "sms"]),
    age=st.sampled_from([HOUR, 23 * HOUR, 25 * HOUR]),
    pace=st.sampled_from([1.0, 1.0, 1.0, 60.0]),
    status=st.sampled_from(["sent", "sent", "sent", "skipped"]),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    ledger=st.lists(batches, max_size=12),
    limits=st.builds(
        Limits,
        bounces=st.sampled_from([0.031, 0.11]),
        complaints=st.sampled_from([0.0071, 0.053]),
        least=st.sampled_from([1, 50]),
        least_bad=st.sampled_from([1, 3, 10]),
    ),
)
async def test_it_opens_exactly_where_a_plain_count_says_so(
    store: StoreCalls, ledger: list[Batch], limits: Limits
) -> None:
    ledger = [b if b.fate == GOOD else Batch(**(vars(b) | {"status": "sent"})) for b in ledger]  # it was reported on
    await write(store, ledger)
    counted: Counter[tuple[str, str, str]] = Counter()
    for b in ledger:
        if b.pace == 1 and b.status == "sent" and b.age < 24 * HOUR:
            bad_as = "bounces" if b.fate == FILTERED and b.channel == "sms" else BAD.get(b.fate)
            kinds = ["messages", bad_as] if bad_as else ["messages"]
            for scope in (f"track:{b.track}", f"account:{b.channel}"):
                for kind in kinds:
                    counted[scope, b.channel, kind] += b.count
    expected = set()
    for scope, channel, _ in list(counted):
        messages = counted[scope, channel, "messages"]
        for kind, share in (("bounces", limits.bounces), ("complaints", limits.complaints)):
            bad = counted[scope, channel, kind]
            if messages >= limits.least and bad >= limits.least_bad and bad / messages >= share:
                expected.add(scope)
    assert set(await opened(store, limits)) == expected
    assert await opened(store, limits) == {}, "what is open is no news"


async def test_one_complaint_in_a_thousand_opens_nothing_and_the_third_does(store: StoreCalls) -> None:
    await write(store, [Batch(999), Batch(2, ABUSE)])
    assert await opened(store) == {}
    await write(store, [Batch(999), Batch(3, ABUSE)])
    assert await opened(store) == {"account:email": "complaints", "track:welcome": "complaints"}
    async with store.db.transaction() as tx:
        found = await breakers.find(tx, "track:welcome")
    assert found is not None and found.reason == "3 complaints of 1002 email messages"
    assert found.figures == {
        "channel": "email",
        "messages": 1002,
        "bounces": 0,
        "complaints": 3,
        "window_seconds": 86400,
    }


async def test_one_bad_track_among_many_opens_alone(store: StoreCalls) -> None:
    await write(store, [Batch(200, track="bad"), Batch(20, HARD, "bad"), Batch(2000)])
    assert await opened(store) == {"track:bad": "bounces"}


async def test_once_resumed_only_what_was_sent_since_is_judged(store: StoreCalls) -> None:
    await write(store, [Batch(300), Batch(30, HARD)])
    assert set(await opened(store)) == {"account:email", "track:welcome"}
    async with store.db.transaction() as tx:
        for scope in ("account:email", "track:welcome"):
            await breakers.resume(tx, scope, per_second=1, now=NOW - HOUR / 2)
    assert await opened(store) == {}
    await store.rows("UPDATE message SET claimed_at = :at RETURNING 1", at=NOW - HOUR / 4)
    assert set(await opened(store)) == {"account:email", "track:welcome"}


def test_a_check_that_takes_long_is_done_less_often() -> None:
    assert reputation.rest_after(timedelta(milliseconds=5)) == timedelta(seconds=3)
    assert reputation.rest_after(timedelta(seconds=2)) == timedelta(seconds=40)
