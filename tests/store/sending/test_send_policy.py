"""All checks that protect the contact run with the claim in one transaction (law 4)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.engine.ids import new_id
from store.people import contacts, suppressions
from store.published import policies
from store.runs import dropped
from store.runs.dropped import Drop
from store.runs.events import Event
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Enrollment
from store.sending import breakers, settling
from store.sending.ledger import Claim
from tests.store.scene import NOW, Scene
from tests.tracks.time.test_local_time import zones
from tracks.model.message_rules import MessageRules
from tracks.model.sending import Lately, Window
from tracks.policy.frequency_caps import Counted
from tracks.policy.workspace_policy import Cap, Channels, Policy, QuietHours, parse_policy, policy_to_data
from tracks.time.quiet_hours import quiet_until

MANY = """
track: many
reentry: {per: n}
steps:
  - id: hello
    email: {template: hello, from: 'Ada <ada@acme.test>'}
"""
TOPICS = """
topics:
  tips: {name: Tips}
  news: {name: News, opt_in: explicit}
  digest: {name: Digest, opt_in: double}
"""


async def publish(scene: Scene, source: str) -> None:
    async with scene.db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)


async def consent(scene: Scene, topic: str, status: str, contact: str = "ann", channel: str = "email") -> None:
    async with scene.db.transaction() as tx:
        await tx.execute(
            text("""
                INSERT INTO consent (contact_id, channel, topic, status, source, at)
                VALUES (:contact, :channel, :topic, :status, 'test', now())
                ON CONFLICT (contact_id, channel, topic) DO UPDATE SET status = :status
            """),
            {"contact": contact, "channel": channel, "topic": topic, "status": status},
        )


async def several(scene: Scene, count: int, contact: str = "ann", **more: Any) -> list[Enrollment]:
    """Live enrollments of one contact."""
    return [
        await scene.enrolled("many", contact, key=f"{contact}-{n}", properties={"n": f"{contact}-{n}"}, **more)
        for n in range(count)
    ]


async def claim(scene: Scene, run: Enrollment, at: datetime = NOW, **more: Any) -> Claim:
    """Claim the message. If it is granted, it is sent."""
    rules = {name: more.pop(name) for name in list(more) if name in MessageRules.__dataclass_fields__}
    claim = await scene.claim(run.id, token=new_id(), now=at, rules=MessageRules(**rules), **more)
    if claim.decision == "granted":
        async with scene.db.transaction() as tx:
            message = await tx.execute(text("SELECT token FROM message WHERE id = :id"), {"id": claim.message_id})
            await settling.settle(tx, claim.message_id, token=message.scalar_one(), outcome="sent", now=at)
    return claim


class TestPermission:
    @pytest.mark.parametrize(
        ("topic", "status", "reason"),
        [
            ("tips", None, None),
            ("tips", "withdrawn", "no consent: tips withdrawn"),
            ("news", None, "no consent: news needs a yes"),
            ("news", "granted", None),
            ("digest", "pending", "no consent: digest not confirmed"),
            ("digest", "granted", None),
            ("", "withdrawn", "no consent: email withdrawn"),
            ("gone", None, "no consent: topic gone is not in the policy"),
        ],
    )
    async def test_consent_is_as_the_topic_asks(
        self, scene: Scene, topic: str, status: str | None, reason: str | None
    ) -> None:
        await publish(scene, TOPICS)
        run = await scene.live()
        if status:
            await consent(scene, topic, status)
        judged = await claim(scene, run, topic=topic)
        assert (judged.decision, judged.reason) == (("settled", reason) if reason else ("granted", ""))

    async def test_leaving_the_channel_leaves_every_topic_of_it(self, scene: Scene) -> None:
        await publish(scene, TOPICS)
        run = await scene.live()
        await consent(scene, "news", "granted")
        await consent(scene, "", "withdrawn")
        assert (await claim(scene, run, topic="news")).reason == "no consent: email withdrawn"

    async def test_a_channel_may_need_a_yes_which_a_topics_yes_gives_too(self, scene: Scene) -> None:
        await publish(scene, TOPICS + "channels: {sms: {opt_in: explicit}}")
        await scene.publish(MANY)
        await scene.contact()
        first, second = await several(scene, 2)
        refused = await claim(scene, first, channel="sms", topic="tips")
        assert refused.reason == "no consent: sms needs a yes"
        await consent(scene, "tips", "granted", channel="sms")
        assert (await claim(scene, second, channel="sms", topic="tips")).decision == "granted"

    async def test_transactional_messages_pass_promotional_rules_only(self, scene: Scene) -> None:
        await publish(scene, TOPICS + "channels: {email: {quiet_hours: {from: '00:00', to: '23:59'}}}")
        run = await scene.live()
        await consent(scene, "", "withdrawn")
        await scene.rows("UPDATE contact SET paused_until = now() + interval '1 day' RETURNING 1")
        assert (await claim(scene, run, transactional=True)).decision == "granted"
        async with scene.db.transaction() as tx:
            await suppressions.add(tx, "email", "ANN@acme.test", "complained")
        other = await scene.live(MANY, "ann", properties={"n": "1"}, key="1")
        assert (await claim(scene, other, transactional=True)).reason == "suppressed: complained"

    async def test_an_address_that_postgresql_cannot_spell_is_protected_too(self, scene: Scene) -> None:
        run = await scene.live()
        await scene.contact("ann", email="Ren\u00e9e@B\u00fccher.test")
        async with scene.db.transaction() as tx:
            await suppressions.add(tx, "email", "ren\u00e9e@xn--bcher-kva.test", "complained")
        assert (await claim(scene, run)).reason == "suppressed: complained"
        (row,) = await scene.rows("SELECT address_hash FROM message")
        assert row.address_hash == address_hash("email", "ren\u00e9e@b\u00fccher.test")

    async def test_a_deferred_message_is_refused_once_the_contact_has_left(self, scene: Scene) -> None:
        await publish(scene, "channels: {email: {quiet_hours: {from: '08:00', to: '10:00'}}}")
        run = await scene.live()
        held = await claim(scene, run)
        assert (held.decision, held.until) == ("deferred", NOW + timedelta(hours=1))
        await consent(scene, "", "withdrawn")
        assert held.until is not None
        after = await claim(scene, run, held.until)
        assert (after.decision, after.reason) == ("settled", "no consent: email withdrawn")
        assert after.message_id == held.message_id


class TestExclusions:
    async def test_a_condition_keeps_contacts_out(self, scene: Scene) -> None:
        run = await scene.live()
        await scene.contact(attributes={"plan": "paid"})
        assert (await claim(scene, run, unless='contact.attributes.plan == "paid"')).reason == "excluded: condition"

    async def test_a_condition_that_cannot_be_computed_keeps_nobody_out(self, scene: Scene) -> None:
        run = await scene.live()
        assert (await claim(scene, run, unless="contact.attributes.plan.name > 1")).decision == "granted"

    async def test_a_condition_that_met_a_text_for_a_number_keeps_nobody_out_and_is_counted(self, scene: Scene) -> None:
        run = await scene.live()
        await scene.contact(attributes={"score": "100"})
        assert (await claim(scene, run, unless="contact.attributes.score > 50")).decision == "granted"
        async with scene.db.transaction() as tx:
            assert await dropped.totals(tx) == [Drop("condition: type", "message", run.track)]

    async def test_purchases_that_could_not_be_looked_at_are_counted_once_a_message(self, scene: Scene) -> None:
        run = await scene.live()
        for number in range(3):
            await scene.accept(Event(f"e{number}", "ann", "bought", {"amount": "20.00"}, NOW - timedelta(days=1)))
        lately = Lately(event="bought", within=timedelta(days=14), where="event.properties.amount > 10")
        assert (await claim(scene, run, unless=lately)).decision == "granted"
        async with scene.db.transaction() as tx:
            assert await dropped.totals(tx) == [Drop("condition: type", "message", run.track)]

    @pytest.mark.parametrize(
        ("ago", "amount", "pace", "kept_out"),
        [
            (timedelta(days=13), 20, 1, True),
            (timedelta(days=15), 20, 1, False),
            (timedelta(days=13), 5, 1, False),
            (timedelta(seconds=13), 20, 86_400, True),
            (timedelta(seconds=15), 20, 86_400, False),
        ],
    )
    async def test_recent_purchasers_are_left_out(
        self, scene: Scene, ago: timedelta, amount: int, pace: float, kept_out: bool
    ) -> None:
        run = await scene.live(pace=pace)
        await scene.accept(Event("e1", "ann", "bought", {"amount": amount}, NOW - ago))
        lately = Lately(event="bought", within=timedelta(days=14), where="event.properties.amount > 10")
        judged = await claim(scene, run, unless=lately)
        assert judged.reason == ("excluded: bought within 14d" if kept_out else "")

    async def test_two_contacts_with_one_address_get_one_copy(self, scene: Scene) -> None:
        await scene.publish(MANY)
        await scene.contact("ann", email="Both@acme.test")
        await scene.contact("bob", email="both@ACME.test")
        [first], [second] = await several(scene, 1, "ann"), await several(scene, 1, "bob")
        claims = await asyncio.gather(claim(scene, first), claim(scene, second))
        assert sorted((c.decision, c.reason) for c in claims) == [("granted", ""), ("settled", "duplicate address")]
        later = await scene.enrolled("many", "bob", key="later", properties={"n": "later"})
        assert (await claim(scene, later, NOW + timedelta(days=31))).decision == "granted"


class TestTurns:
    async def test_a_pause_defers_as_long_as_the_message_may_be_held(self, scene: Scene) -> None:
        await scene.publish(MANY)
        await scene.contact()
        await scene.rows(f"UPDATE contact SET paused_until = '{NOW + timedelta(days=5)}' RETURNING 1")
        patient, hasty = await several(scene, 2)
        held = await claim(scene, patient)
        assert (held.reason, held.until) == ("paused", NOW + timedelta(days=5))
        assert (await claim(scene, hasty, hold=timedelta(days=1))).reason == "expired: paused"

    async def test_a_window_is_in_the_contacts_zone(self, scene: Scene) -> None:
        run = await scene.live()
        await scene.contact(timezone="America/New_York")  # NOW is 04:00 on a Monday there
        window = Window(from_=time(9), to=time(17), weekdays=("tue", "wed"))
        held = await claim(scene, run, window=window)
        assert (held.reason, held.until) == ("window", datetime(2026, 3, 3, 14, tzinfo=UTC))

    async def test_a_window_that_lies_in_the_quiet_hours_is_said_and_skipped(self, scene: Scene) -> None:
        await publish(scene, "channels: {email: {quiet_hours: {from: '08:00', to: '20:00'}}}")
        run = await scene.live()
        judged = await claim(scene, run, window=Window(from_=time(9), to=time(17)))
        assert judged.reason == "quiet hours: they leave nothing of its window"

    async def test_a_paced_run_keeps_hours_and_caps_on_its_own_clock(self, scene: Scene) -> None:
        await publish(
            scene,
            "channels: {email: {quiet_hours: {from: '08:00', to: '10:00'}}}\ncaps: [{most: 1, per: 1d}]",
        )
        await scene.publish(MANY)
        await scene.contact()
        first, second = await several(scene, 2, pace=86_400)
        held = await claim(scene, first)
        assert held.until is not None
        assert abs(held.until - NOW - timedelta(hours=1) / 86_400) < timedelta(milliseconds=1)
        assert (await claim(scene, first, held.until)).decision == "granted"
        capped = await claim(scene, second, held.until)
        assert (capped.reason, capped.until) == ("capped: all 1 per 1d", held.until + timedelta(seconds=1))
        real = await scene.enrolled("many", key="real", properties={"n": "real"})
        assert (await claim(scene, real, NOW + timedelta(hours=1))).decision == "granted"

    async def test_a_run_whose_clock_jumps_is_judged_and_counted_by_the_moment_at_which_its_step_was_due(
        self, scene: Scene
    ) -> None:
        """A pause is in real time, not on the run's clock."""
        await publish(
            scene,
            "channels: {email: {quiet_hours: {from: '10:00', to: '08:00'}}}\ncaps: [{most: 1, per: 1d}]",
        )
        await scene.publish(MANY)
        await scene.contact()
        first, second, third = await several(scene, 3, pace=86_400)
        late = timedelta(seconds=0.6)
        assert (await claim(scene, first, NOW + late, due=NOW)).decision == "granted"
        capped = await claim(scene, second, NOW + late, due=NOW)
        then = NOW + timedelta(seconds=1)
        assert (capped.reason, capped.until) == ("capped: all 1 per 1d", then)
        assert (await claim(scene, second, then + late, due=then)).decision == "granted"
        async with scene.db.transaction() as tx:
            await contacts.pause(tx, "ann", NOW + timedelta(seconds=2.5))
        paused = {"due": NOW + timedelta(seconds=2), "hold": timedelta(days=30)}
        assert (await claim(scene, third, NOW + timedelta(seconds=2.4), **paused)).reason == "paused"
        assert (await claim(scene, third, NOW + timedelta(seconds=2.6), **paused)).decision == "granted"

    async def test_racing_tracks_cannot_both_slip_under_a_cap(self, scene: Scene) -> None:
        await publish(scene, "caps: [{most: 2, per: 7d}]")
        await scene.publish(MANY)
        await scene.contact("ann", email="both@acme.test")
        await scene.contact("bob", email="both@acme.test")
        runs = [*await several(scene, 5, "ann"), *await several(scene, 5, "bob")]
        claims = await asyncio.gather(*(claim(scene, run) for run in runs))
        assert sum(c.decision == "granted" for c in claims) == 2
        assert all(c.decision == "granted" or c.until or c.reason == "duplicate address" for c in claims)

    async def test_what_waits_with_a_higher_priority_goes_first(self, scene: Scene) -> None:
        await publish(scene, "caps: [{most: 1, per: 1d}]")
        await scene.publish(MANY)
        await scene.contact()
        first, urgent, idle = await several(scene, 3)
        await claim(scene, first)
        waiting = await claim(scene, urgent, NOW + timedelta(hours=1), priority=9)
        assert waiting.until == NOW + timedelta(days=1)
        yields = await claim(scene, idle, NOW + timedelta(days=1), priority=1)
        assert (yields.decision, yields.reason) == ("deferred", "capped: all 1 per 1d")
        assert (await claim(scene, urgent, waiting.until, priority=9)).decision == "granted"
        await scene.close(urgent.id)
        assert yields.until is not None
        assert yields.until > NOW + timedelta(days=1)
        assert (await claim(scene, idle, yields.until + timedelta(hours=1), priority=1)).decision == "granted"

    async def test_who_waits_in_vain_holds_nobody_up(self, scene: Scene) -> None:
        await publish(scene, "caps: [{most: 1, per: 1d}]")
        await scene.publish(MANY)
        await scene.contact()
        first, urgent, idle = await several(scene, 3)
        await claim(scene, first)
        waiting = await claim(scene, urgent, NOW + timedelta(hours=1), priority=9)
        await scene.close(urgent.id)
        assert waiting.until is not None
        assert (await claim(scene, idle, waiting.until, priority=1)).decision == "granted"


class TestBreakers:
    async def test_nobody_is_lost_to_a_breaker_however_long_it_is_open(self, scene: Scene) -> None:
        await publish(scene, "channels: {email: {quiet_hours: {from: '20:00', to: '08:00'}}}")
        run = await scene.live()
        night = NOW.replace(hour=21)
        put_off = await claim(scene, run, night)
        assert put_off.reason == "quiet hours"
        async with scene.db.transaction() as tx:
            await breakers.trip(tx, "track:welcome", "operator", "a wrong price", now=NOW)
        assert put_off.until is not None
        held = await claim(scene, run, put_off.until)
        assert (held.decision, held.reason, held.why) == ("deferred", "breaker: track:welcome", "a wrong price")
        async with scene.db.transaction() as tx:
            await breakers.resume(tx, "track:welcome", per_second=10, now=NOW + timedelta(days=20))
        again = await claim(scene, run, night + timedelta(days=20))
        assert (again.decision, again.reason) == ("deferred", "quiet hours")
        assert again.until is not None
        assert (await claim(scene, run, again.until)).decision == "granted"

    async def test_a_transactional_message_passes(self, scene: Scene) -> None:
        run = await scene.live()
        async with scene.db.transaction() as tx:
            await breakers.trip(tx, "account:email", "operator", "maintenance", now=NOW)
        assert (await claim(scene, run, transactional=True)).decision == "granted"


def test_what_is_kept_of_an_address_is_its_hash() -> None:
    assert address_hash("email", "Ann@Acme.test") == address_hash("email", "ann@acme.test")


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
    scene: Scene,
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
    async with scene.db.transaction() as tx:
        await policies.publish(tx, policy, "")
    await scene.publish(MANY)
    for who in PEOPLE:
        address = f"one.{example}@acme.test" if shared else f"{who}.{example}@acme.test"
        await scene.contact(f"{who}-{example}", email=address, phone=None, timezone=zone)
        if not shared:
            await scene.contact(f"{who}-{example}", phone=f"+1555{int(example, 16) % 10**6:06d}{PEOPLE.index(who)}")
    runs = [
        await scene.enrolled("many", f"{plan['who']}-{example}", key=str(n), properties={"n": str(n)}, pace=pace)
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
        judged = await claim(scene, runs[n], now, channel=channel, **rules)
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
