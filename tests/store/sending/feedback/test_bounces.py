"""Bounces that suppress, at once or after many."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.people.consents import suppressions
from store.schema.addresses import address_hash
from store.sending import ledger, send_outcomes
from store.sending.feedback import bounces
from store.sending.feedback.bounces import MANY, SPAN, TABLE
from store.sending.messages import messages
from store.sending.messages.messages import Progress
from tests.store.store_calls import NOW, StoreCalls

EMAIL = "ann@acme.test"
FULL = "bounce-transient-mailboxfull"
DAY = timedelta(days=1)


class Mailbox:
    """A contact's messages, each with its time and outcome."""

    def __init__(self, store: StoreCalls) -> None:
        self.store = store
        self._count = 0

    async def message(self, progress: Progress, reason: str = "", *, at: datetime, to: str | None = None) -> bool:
        """Add a message. Returns whether its bounce suppressed the address."""
        self._count += 1
        run = (await self.store.rows("SELECT id FROM enrollment LIMIT 1"))[0].id
        async with self.store.db.transaction() as tx:
            claim = await ledger.claim(
                tx, enrollment_id=str(run), step="hello", occurrence=self._count, channel="email", token="t", now=at
            )
            await send_outcomes.record_callbacks(
                tx, [send_outcomes.Callback(claim.message_id, progress, reason=reason)]
            )
        hashed = address_hash("email", to) if to else None
        await self.store.rows(
            "UPDATE message SET address_hash = :hash WHERE id = :id RETURNING id", hash=hashed, id=claim.message_id
        )
        async with self.store.db.transaction() as tx:
            found = await messages.get(tx, claim.message_id)
            assert found is not None
            return await bounces.suppress_if_many(tx, found, address_hash("email", EMAIL))


@pytest.fixture
async def mailbox(store: StoreCalls) -> Mailbox:
    await store.live()
    return Mailbox(store)


@pytest.mark.parametrize("to", [None, EMAIL], ids=["known by the contact", "known by the address"])
async def test_many_bounces_in_a_row_over_a_long_time_suppress(mailbox: Mailbox, to: str | None) -> None:
    step = SPAN / (MANY - 1)
    given_up = [await mailbox.message("bounced", FULL, at=NOW + step * n, to=to) for n in range(MANY)]
    assert given_up == [False] * (MANY - 1) + [True]
    async with mailbox.store.db.transaction() as tx:
        found = await suppressions.find(tx, "email", EMAIL)
    assert found is not None and found.reason == "bounced"


async def test_many_bounces_within_days_do_not(mailbox: Mailbox) -> None:
    for n in range(MANY + 2):
        assert not await mailbox.message("bounced", FULL, at=NOW + DAY * n)


async def test_a_delivery_in_between_begins_the_count_anew(mailbox: Mailbox) -> None:
    for n in range(MANY - 1):
        await mailbox.message("bounced", FULL, at=NOW + DAY * 7 * n)
    await mailbox.message("delivered", at=NOW + DAY * 30)
    assert not await mailbox.message("bounced", FULL, at=NOW + DAY * 60)


async def test_bounces_of_the_message_and_of_another_address_do_not_count(mailbox: Mailbox) -> None:
    for n in range(MANY):
        await mailbox.message("bounced", "bounce-transient-messagetoolarge", at=NOW + DAY * 7 * n)
        await mailbox.message("bounced", FULL, at=NOW + DAY * 7 * n, to="ann.before@acme.test")
    assert not await mailbox.message("bounced", FULL, at=NOW + DAY * 90)


@given(st.sampled_from(["permanent", "transient", "undetermined", ""]), st.text(max_size=20))
def test_only_a_permanent_bounce_ever_suppresses_at_once(kind: str, sub_type: str) -> None:
    assert (bounces.effect(kind, sub_type) == "suppress") == (kind == "permanent")


def test_no_transient_kind_suppresses_at_once() -> None:
    assert {kind for (kind, _), follows in TABLE.items() if follows == "suppress"} == {"permanent"}
