"""The effects of each SES event on the ledger, the address and the tracks, in any order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.webhooks import ses_events
from store.engine.database import Database
from store.engine.ids import new_id
from store.sending import send_outcomes
from tests.api.client import Api
from tests.api.messages import EMAIL, another_day, message, rows, sending
from tests.api.ses_effects import forget, own_id, suppressed, told
from tests.api.ses_payloads import (
    BOUNCES,
    COMPLAINTS,
    DELAYS,
    bounce,
    complaint,
    delay,
    everything,
    reject,
    rendering_failure,
    send,
)
from tests.api.sns import Signer, tell

pytestmark = pytest.mark.usefixtures("amazon")


async def test_every_documented_bounce_does_what_the_table_says(api: Api, db: Database, signer: Signer) -> None:
    for tagged in (True, False):
        for kind, sub_type in BOUNCES:
            sent = await sending(api, db, "email", contact_id=new_id())
            await tell(api.client, signer.notification(send(sent)))
            said = bounce(sent if tagged else None, kind, sub_type)
            await own_id(db, sent, said)
            assert await tell(api.client, signer.notification(said)) == 204
            found = await message(db, sent)
            assert (found.delivery, found.delivery_reason) == (
                "bounced",
                f"bounce-{kind.lower()}-{sub_type.lower()}",
            )
            assert (await told(db))[-1] == ("email.bounced", {"bounce": kind.lower(), "detail": sub_type.lower()})
            assert await suppressed(db) == ("bounced" if kind == "Permanent" else None)
            await forget(db)


async def test_every_documented_complaint_suppresses_but_the_one_that_is_none(
    api: Api, db: Database, signer: Signer
) -> None:
    for feedback, sub_type in COMPLAINTS:
        sent = await sending(api, db, "email", contact_id=new_id())
        assert await tell(api.client, signer.notification(complaint(sent, feedback, sub_type))) == 204
        found = await message(db, sent)
        if feedback == "not-spam":
            assert (found.delivery, await suppressed(db), await told(db)) == ("delivered", None, [])
        else:
            said = (sub_type or feedback or "").lower()
            assert (found.delivery, found.delivery_reason) == (
                "complained",
                f"complaint-{said}" if said else "complaint",
            )
            assert await suppressed(db) == "complained"
            assert [name for name, _ in await told(db)] == ["email.complained"]
        await forget(db)


async def test_delays_and_failures_are_in_the_ledger_and_suppress_nobody(
    api: Api, db: Database, signer: Signer
) -> None:
    for kind in DELAYS:
        sent = await sending(api, db, "email", contact_id=new_id())
        await tell(api.client, signer.notification(delay(sent, kind)))
        found = await message(db, sent)
        assert (found.delivery, found.delivery_reason) == ("delayed", f"delay-{kind.lower()}")
        await another_day(db)
    assert await told(db) == []
    for said, reason in ((reject, "reject"), (rendering_failure, "rendering-failure")):
        sent = await sending(api, db, "email", contact_id=new_id())
        await tell(api.client, signer.notification(said(sent)))
        found = await message(db, sent)
        assert (found.status, found.delivery, found.delivery_reason) == ("sent", "failed", reason)
        assert (await told(db))[-1] == ("email.failed", {"error": reason})
        await another_day(db)
    assert await suppressed(db) is None
    assert EMAIL not in str(await rows(db, "SELECT e::text FROM event e UNION SELECT m::text FROM message m"))


async def test_where_a_forwarded_message_bounces_the_address_it_went_to_is_suppressed(
    api: Api, db: Database, signer: Signer
) -> None:
    sent = await sending(api, db, "email")
    await tell(api.client, signer.notification(bounce(sent, who=[{"emailAddress": "forwarded@example.org"}])))
    assert await suppressed(db) == "bounced"


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_any_order_and_any_repeats_end_the_same(
    api: Api, db: Database, signer: Signer, data: st.DataObject
) -> None:
    """The ledger, the suppressions, and how often tracks get each event."""
    settled = data.draw(st.booleans(), label="the send was answered before")
    chosen = data.draw(st.lists(_one_of_a_kind(), min_size=2, max_size=6, unique=True))
    repeated = chosen + data.draw(st.lists(st.sampled_from(chosen), max_size=3))
    arrived = any(_progress(record) == "delivered" for index, record in enumerate(everything("x")) if index in chosen)
    ends = []
    for order in (chosen, data.draw(st.permutations(repeated))):
        sent = await sending(api, db, "email", contact_id=new_id())
        records = everything(sent)
        for record in records:
            await own_id(db, sent, record)
        if settled:
            async with db.transaction() as tx:
                await send_outcomes.settle(tx, sent, token="one", outcome="sent", provider_id=f"ses-{sent}")
        notifications = {index: signer.notification(records[index]) for index in chosen}
        for index in order:
            if settled or "tags" in records[index]["mail"]:
                assert await tell(api.client, notifications[index]) == 204
        found = await message(db, sent)
        # A non-permanent bounce is an event only until the message is known to have arrived.
        heard = [(name, said) for name, said in await told(db) if not (arrived and _is_soft(name, said))]
        names = Counter(name for name, _ in heard)
        ends.append((found.status, found.reason, found.delivery, found.delivery_reason, await suppressed(db), names))
        await forget(db)
    assert ends[0] == ends[1]
    assert ends[0][0] == ("sent" if ends[0][2] or settled else "sending")


def _progress(record: dict[str, Any]) -> str | None:
    found = ses_events.read(record)
    return found.progress if found else None


def _is_soft(name: object, said: object) -> bool:
    return name == "email.bounced" and isinstance(said, dict) and said["bounce"] != "permanent"


def _one_of_a_kind() -> st.SearchStrategy[int]:
    """An index in `everything`. The kind is drawn first, because there are many more bounces than deliveries."""
    kinds: dict[str, list[int]] = {}
    for index, record in enumerate(everything("x")):
        kinds.setdefault(record.get("eventType") or record["notificationType"], []).append(index)
    often = [*kinds, "Bounce", "Bounce", "Complaint", "Complaint", "Subscription"]
    return st.sampled_from(often).flatmap(lambda kind: st.sampled_from(kinds[kind]))


async def test_the_harshest_reason_stays(api: Api, db: Database, signer: Signer) -> None:
    for order in ((bounce, complaint), (complaint, bounce)):
        sent = await sending(api, db, "email", contact_id=new_id())
        for said in order:
            await tell(api.client, signer.notification(said(sent)))
        assert await suppressed(db) == "complained"
        await forget(db)
