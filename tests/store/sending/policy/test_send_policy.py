"""No send breaks a rule and none waits without a wake-up, whatever contacts, caps, hours and zones are (law 4)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.published import policies
from store.schema.rows import Channel
from tests.store.sending.claims import MANY, TOPICS, claim
from tests.store.store_calls import NOW, StoreCalls
from tests.tracks.time.zones import zones
from tracks.policy.frequency_caps import Counted
from tracks.policy.workspace_policy import Cap, Channels, Policy, QuietHours, parse_policy, policy_to_data
from tracks.time.quiet_hours import quiet_until

PEOPLE = ("ann", "bob", "cyd")
plans = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.sampled_from(PEOPLE),
            "channel": st.sampled_from(["email", "sms"]),
            "topic": st.sampled_from(["", "tips"]),
            "priority": st.integers(0, 9),
            "minute": st.integers(0, 4 * 24 * 60),
            "transactional": st.booleans(),
        }
    ),
    min_size=1,
    max_size=12,
)
policy_caps = st.lists(
    st.builds(
        lambda most, hours, channel, topic: Cap(most=most, per=timedelta(hours=hours), channel=channel, topic=topic),
        st.integers(1, 3),
        st.integers(1, 100),
        st.none() | st.sampled_from(["email", "sms"]),
        st.none() | st.just("tips"),
    ),
    max_size=3,
)
quiet = st.none() | st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda pair: pair[0] != pair[1]).map(
    lambda pair: QuietHours(from_=time(pair[0]), to=time(pair[1]))
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=plans, caps=policy_caps, hours=quiet, zone=zones, shared=st.booleans(), pace=st.sampled_from([1.0, 60.0]))
async def test_no_send_ever_breaks_a_rule_and_nobody_waits_without_a_wake_up(
    store: StoreCalls,
    plans: list[dict[str, Any]],
    caps: list[Cap],
    hours: QuietHours | None,
    zone: str,
    shared: bool,
    pace: float,
) -> None:
    policy = parse_policy(TOPICS).model_copy(
        update={"caps": tuple(caps), "channels": Channels.model_validate({"email": {"quiet_hours": hours}})}
    )
    policy = Policy.model_validate(policy_to_data(policy))
    example = new_id()[-8:]
    async with store.db.transaction() as tx:
        await policies.publish(tx, policy, "")
    await store.publish(MANY)
    for who in PEOPLE:
        address = f"one.{example}@acme.test" if shared else f"{who}.{example}@acme.test"
        await store.contact(f"{who}-{example}", email=address, phone=None, timezone=zone)
        if not shared:
            await store.contact(f"{who}-{example}", phone=f"+1555{int(example, 16) % 10**6:06d}{PEOPLE.index(who)}")
    runs = [
        await store.enrolled("many", f"{plan['who']}-{example}", key=str(n), properties={"n": str(n)}, pace=pace)
        for n, plan in enumerate(plans)
    ]
    queue = [(NOW + timedelta(minutes=plan["minute"]) / pace, n) for n, plan in enumerate(plans)]
    asked: dict[int, datetime] = {}
    sent: list[tuple[int, datetime]] = []
    while queue:
        queue.sort()
        now, n = queue.pop(0)
        asked.setdefault(n, now)
        plan = plans[n]
        channel: Channel = plan["channel"]
        rules = {name: plan[name] for name in ("topic", "priority", "transactional")}
        judged = await claim(store, runs[n], now, channel=channel, **rules)
        if judged.decision == "deferred":
            assert judged.until is not None
            assert now < judged.until <= asked[n] + timedelta(days=7) / pace + timedelta(seconds=1)
            queue.append((judged.until, n))
        elif judged.decision == "granted":
            sent.append((n, now))
        else:
            assert judged.reason in ("no address", "duplicate address") or judged.reason.startswith("expired: ")
    for n, at in sent:
        plan = plans[n]
        if plan["transactional"]:
            continue
        run_time = runs[n].clock.at(at)
        if plan["channel"] == "email" and hours is not None:
            assert quiet_until(run_time, zone, hours.from_, hours.to) is None
        others = [
            Counted(plans[m]["channel"], plans[m]["topic"], when)
            for m, when in sent
            if not plans[m]["transactional"]
            and (plans[m]["who"] == plan["who"] or (shared and plans[m]["channel"] == plan["channel"] == "email"))
        ]
        for cap in policy.caps:
            if cap.channel not in (None, plan["channel"]) or cap.topic not in (None, plan["topic"]):
                continue
            inside = [
                one
                for one in others
                if at - cap.per / pace < one.at <= at
                and cap.channel in (None, one.channel)
                and cap.topic in (None, one.topic)
            ]
            assert len(inside) <= cap.most, (cap, plan, at)
