"""The choice of a channel, compared with a simple implementation of its rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people.consents import suppressions
from store.people.contacts import get
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Enrollment
from store.sending.policy.channel_choice import Candidate, choose
from tests.store.store_calls import NOW, StoreCalls

HISTORY: dict[str, tuple[int, dict[str, Any]]] = {
    "delivered": (1, {"delivery": "delivered"}),
    "clicked": (1, {"delivery": "accepted"}),
    "scanned": (0, {}),
    "accepted": (0, {"delivery": "accepted"}),
    "bounced": (-1, {"delivery": "bounced"}),
    "undelivered": (-1, {"delivery": "failed"}),
    "refused": (-1, {"status": "failed", "reason": "twilio:21211"}),
    "unwritten": (0, {"status": "failed", "reason": "template: NotFound"}),
    "elsewhere": (0, {"delivery": "bounced", "address_hash": "of an earlier address"}),
}
"""Outcomes of an earlier message: what each means for the channel, and its row."""


@dataclass(frozen=True)
class Facts:
    """The facts about one channel of a contact."""

    address: bool
    suppressed: bool
    consent: Literal["", "granted", "withdrawn"]
    past: tuple[str, ...]
    """Oldest first."""

    @property
    def usable(self) -> bool:
        return self.address and not self.suppressed and self.consent != "withdrawn"

    @property
    def reached(self) -> int:
        telling = [HISTORY[word][0] for word in self.past if HISTORY[word][0]]
        return telling[-1] if telling else 0


facts = st.builds(
    Facts,
    address=st.sampled_from([True, True, True, False]),
    suppressed=st.sampled_from([False, False, False, True]),
    consent=st.sampled_from(["", "granted", "withdrawn"]),
    past=st.lists(st.sampled_from(sorted(HISTORY)), max_size=2).map(tuple),
)


def expected(known: dict[Channel, Facts], order: list[Channel], best: bool) -> Channel | None:
    usable = [channel for channel in order if known[channel].usable]
    if best:
        usable.sort(key=lambda channel: (known[channel].consent != "granted", -known[channel].reached))
    return usable[0] if usable else None


class KnownContact:
    """A contact with these facts in the database."""

    def __init__(self, store: StoreCalls) -> None:
        self.store = store
        self.run: Enrollment

    async def contact(self, known: dict[Channel, Facts]) -> str:
        contact = new_id()
        self.run = await self.store.live(contact_id=contact)
        email, phone = f"{contact}@acme.test", f"+1{int(contact.replace('-', ''), 16) % 10**10:010d}"
        addresses: dict[Channel, str | None] = {
            "email": email if known["email"].address else None,
            "sms": phone if known["sms"].address else None,
        }
        await self.store.contact(contact, email=addresses["email"], phone=addresses["sms"])
        for channel, its in known.items():
            address = addresses[channel] or ""
            if its.consent:
                await self.store.rows(
                    "INSERT INTO consent (contact_id, channel, status, source, at)"
                    " VALUES (:contact, :channel, :status, 'form', :at) RETURNING 1",
                    contact=contact, channel=channel, status=its.consent, at=NOW,
                )  # fmt: skip
            if its.suppressed and address:
                async with self.store.db.transaction() as tx:
                    await suppressions.add(tx, channel, address, "bounced")
            for word in its.past:
                await self.message(contact, channel, word, address)
        return contact

    async def message(self, contact: str, channel: Channel, word: str, address: str, **more: Any) -> None:
        row: dict[str, Any] = {"status": "sent", "reason": "", "delivery": None, "key": new_id()}
        row |= {"address_hash": address_hash(channel, address) if address else None, **HISTORY[word][1], **more}
        message = new_id()
        await self.store.rows(
            "INSERT INTO message (id, effect_key, enrollment_id, contact_id, track, step, channel, status, token,"
            " reason, claimed_at, delivery, address_hash) VALUES (:id, :key, :run, :contact, 'welcome', 'hello',"
            " :channel, :status, 't', :reason, :at, :delivery, :address_hash) RETURNING 1",
            id=message, run=self.run.id, contact=contact, channel=channel, at=NOW, **row,
        )  # fmt: skip
        if word in ("clicked", "scanned"):
            await self.store.rows(
                "INSERT INTO touch (message_id, kind, by, at) VALUES (:id, 'click', :by, :at) RETURNING 1",
                id=message, by="human" if word == "clicked" else "scanner", at=NOW,
            )  # fmt: skip

    async def choice(self, contact_id: str, order: list[Channel], *, best: bool, key: str = "") -> Channel | None:
        async with self.store.db.transaction() as tx:
            contact = await get(tx, contact_id)
            assert contact is not None
            return await choose(tx, contact, key, [Candidate(channel) for channel in order], best=best)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(facts, facts, st.permutations(["email", "sms"]), st.booleans())
async def test_the_first_of_the_best_ranked_channels_that_may_be_used_is_chosen(
    store: StoreCalls, email: Facts, sms: Facts, order: list[Channel], best: bool
) -> None:
    subject = KnownContact(store)
    known: dict[Channel, Facts] = {"email": email, "sms": sms}
    contact = await subject.contact(known)
    assert await subject.choice(contact, order, best=best) == expected(known, order, best)


NOTHING = Facts(address=True, suppressed=False, consent="", past=())


async def test_a_message_that_a_provider_was_asked_to_take_stays_on_its_channel(store: StoreCalls) -> None:
    subject = KnownContact(store)
    contact = await subject.contact({"email": NOTHING, "sms": NOTHING})
    for status, channel in (("released", "sms"), ("unknown", "sms"), ("deferred", "email")):
        await subject.message(contact, "sms", "scanned", "", key=status, status=status)
        assert await subject.choice(contact, ["email", "sms"], best=True, key=status) == channel
