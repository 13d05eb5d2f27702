"""Whether a contact may be written to at all: consent by topic and channel, suppression."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.people.consents import suppressions
from store.schema.addresses import address_hash
from tests.store.sending.claims import MANY, TOPICS, claim, consent, publish, several
from tests.store.store_calls import NOW, StoreCalls


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
        self, store: StoreCalls, topic: str, status: str | None, reason: str | None
    ) -> None:
        await publish(store, TOPICS)
        run = await store.live()
        if status:
            await consent(store, topic, status)
        judged = await claim(store, run, topic=topic)
        assert (judged.decision, judged.reason) == (("settled", reason) if reason else ("granted", ""))

    async def test_leaving_the_channel_leaves_every_topic_of_it(self, store: StoreCalls) -> None:
        await publish(store, TOPICS)
        run = await store.live()
        await consent(store, "news", "granted")
        await consent(store, "", "withdrawn")
        assert (await claim(store, run, topic="news")).reason == "no consent: email withdrawn"

    async def test_a_channel_may_need_a_yes_which_a_topics_yes_gives_too(self, store: StoreCalls) -> None:
        await publish(store, TOPICS + "channels: {sms: {opt_in: explicit}}")
        await store.publish(MANY)
        await store.contact()
        first, second = await several(store, 2)
        refused = await claim(store, first, channel="sms", topic="tips")
        assert refused.reason == "no consent: sms needs a yes"
        await consent(store, "tips", "granted", channel="sms")
        assert (await claim(store, second, channel="sms", topic="tips")).decision == "granted"

    async def test_transactional_messages_pass_promotional_rules_only(self, store: StoreCalls) -> None:
        await publish(store, TOPICS + "channels: {email: {quiet_hours: {from: '00:00', to: '23:59'}}}")
        run = await store.live()
        await consent(store, "", "withdrawn")
        await store.rows("UPDATE contact SET paused_until = now() + interval '1 day' RETURNING 1")
        assert (await claim(store, run, transactional=True)).decision == "granted"
        async with store.db.transaction() as tx:
            await suppressions.add(tx, "email", "ANN@acme.test", "complained")
        other = await store.live(MANY, "ann", properties={"n": "1"}, key="1")
        assert (await claim(store, other, transactional=True)).reason == "suppressed: complained"

    async def test_an_address_that_postgresql_cannot_spell_is_protected_too(self, store: StoreCalls) -> None:
        run = await store.live()
        await store.contact("ann", email="Ren\u00e9e@B\u00fccher.test")
        async with store.db.transaction() as tx:
            await suppressions.add(tx, "email", "ren\u00e9e@xn--bcher-kva.test", "complained")
        assert (await claim(store, run)).reason == "suppressed: complained"
        (row,) = await store.rows("SELECT address_hash FROM message")
        assert row.address_hash == address_hash("email", "ren\u00e9e@b\u00fccher.test")

    async def test_a_deferred_message_is_refused_once_the_contact_has_left(self, store: StoreCalls) -> None:
        await publish(store, "channels: {email: {quiet_hours: {from: '08:00', to: '10:00'}}}")
        run = await store.live()
        held = await claim(store, run)
        assert (held.decision, held.until) == ("deferred", NOW + timedelta(hours=1))
        await consent(store, "", "withdrawn")
        assert held.until is not None
        after = await claim(store, run, held.until)
        assert (after.decision, after.reason) == ("settled", "no consent: email withdrawn")
        assert after.message_id == held.message_id


def test_what_is_kept_of_an_address_is_its_hash() -> None:
    assert address_hash("email", "Ann@Acme.test") == address_hash("email", "ann@acme.test")
