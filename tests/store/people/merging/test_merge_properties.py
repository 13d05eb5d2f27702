"""Any facts of two contacts: merging gives the union, and undoing it gives back the former facts."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from audience.facts import Fact, Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from store.people import contacts
from store.people.consents.consents import Change
from store.people.crm import crm
from store.people.merging.table_rules import RULES
from store.runs.events.events import Event
from tests.audience.segments.any_segment import anything
from tests.store.audience.segment_calls import checked, fill, members, pass_time, publish
from tests.store.people.consents.consent_calls import tell
from tests.store.people.merging.merge_calls import facts, merged, unmerged
from tests.store.store_calls import NOW, StoreCalls

_TURNS = count()
WHO = st.sampled_from(["ann", "bob"])
RULE = {"never": "never", "always": "always", "per": "{per: cart_id}"}
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), WHO, st.sampled_from(["app.used", "order.paid"]), st.integers(0, 60)),
        st.tuples(st.just("plan"), WHO, st.sampled_from(["team", "free", None])),
        st.tuples(st.just("field"), WHO, st.sampled_from([("locale", "de"), ("timezone", "Asia/Tokyo")])),
        st.tuples(
            st.just("says"), WHO, st.sampled_from(["granted", "pending", "withdrawn"]), st.sampled_from(["", "x"])
        ),
        st.tuples(st.just("enrol"), WHO, st.sampled_from(sorted(RULE)), st.integers(0, 1)),
        st.tuples(st.just("send"), st.integers(0, 5)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("crm"), WHO, st.sampled_from(["lead", None]), st.sampled_from(["size", "city"])),
        st.tuples(st.just("wait"), st.integers(1, 60)),
    ),
    min_size=2,
    max_size=16,
)
EMPTIED = (
    "merge_moved, contact_merge, merged_id, former_address, membership, segment_trigger, segment_version, segment, "
    "message, effect, outbox, path_entry, refused_delivery, enrollment, event, consent, consent_change, suppression, "
    "crm_contact, crm_note, contact, erasure, segment_day"
)


class _Story:
    """Lives the steps. Two contacts exist from the beginning."""

    def __init__(self, store: StoreCalls) -> None:
        self.store, self.now, self.number, self.turn = store, NOW, 0, next(_TURNS)
        self.runs: list[str] = []

    async def begin(self, segment: Any) -> None:
        async with self.store.db.transaction() as tx:
            await tx.execute(text(f"TRUNCATE {EMPTIED} CASCADE"))
        for kind, rule in RULE.items():
            await self.store.publish(
                f"track: {kind}\nreentry: {rule}\nsteps:\n"
                "  - id: hello\n    email: {template: t, from: 'A <a@b.test>'}\n"
            )
        self.segment = f"seg-{self.turn}"
        self.tree = segment
        await publish(self.store, self.segment, segment, now=self.now)
        await fill(self.store, self.now)
        for who in ("ann", "bob"):
            async with self.store.db.transaction() as tx:
                await contacts.upsert(tx, who, {"email": f"{who}@acme.test"}, now=self.now)

    async def live(self, step: tuple[Any, ...]) -> None:
        self.number += 1
        self.now += timedelta(minutes=1)
        match step:
            case "event", who, name, hours_ago:
                at = self.now - timedelta(hours=hours_ago)
                await self.store.accept(Event(f"e{self.number}", who, name, {"total": 20}, at), now=self.now)
            case "plan", who, plan:
                await self._change(who, attributes={"plan": plan, who: self.number})
            case "field", who, (name, value):
                await self._change(who, **{name: value})
            case "says", who, status, topic:
                await tell(self.store, Change("email", topic, status, "form", at=self.now), contact_id=who)
            case "enrol", who, track, key:
                more = {"key": f"k{key}"} if track == "per" else {}
                done = await self.store.enroll(track, who, now=self.now, **more)
                self.runs += [done.enrollment.id] if done.outcome == "created" and done.enrollment else []
            case "send", which if self.runs:
                claim = await self.store.claim(self.runs[which % len(self.runs)], now=self.now)
                if claim.decision == "granted":
                    await self.store.settle(claim, "sent", provider_id=f"p{self.number}")
            case "end", which if self.runs:
                await self.store.close(self.runs[which % len(self.runs)], now=self.now)
            case "crm", who, stage, name:
                async with self.store.db.transaction() as tx:
                    await crm.apply(tx, who, f"k{self.number}", stage=stage, fields={name: self.number}, note="n")
            case "wait", length:
                self.now += timedelta(hours=length)

    async def _change(self, who: str, **changes: Any) -> None:
        async with self.store.db.transaction() as tx:
            await contacts.upsert(tx, who, changes, now=self.now)  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps, anything)
async def test_a_merge_gives_the_union_and_its_undoing_the_former_facts(
    store: StoreCalls, story: list[Any], segment: Any
) -> None:
    lived = _Story(store)
    await lived.begin(segment)
    note(f"{segment} {story}")
    for step in story:
        await lived.live(step)
    await pass_time(store, lived.now)
    before = await facts(store, "event")
    events = await _events(store)
    live = await store.rows("SELECT id::text, track, key FROM enrollment WHERE ended_at IS NULL")

    done = await merged(store, now=lived.now)

    for table, rule in RULES.items():
        column = "id" if table == "contact" else "contact_id"
        if rule.how != "leave":
            assert await store.rows(f"SELECT 1 FROM {table} WHERE {column} = 'bob'") == [], table
    assert {event_id for event_id, _ in await _events(store)} >= {event_id for event_id, _ in events}
    assert await members(store, lived.segment) == await _expected(store, lived)
    assert (await checked(store, lived.segment, lived.now)).differences == []
    slots = await store.rows("SELECT track, key FROM enrollment WHERE slot = ''")
    assert len(slots) == len(set(slots))
    assert {(row.track, row.key) for row in live} <= set(map(tuple, slots)), "each live track is still held"
    assert len(live) - len(done.runs_ended) == len({(row.track, row.key) for row in live})
    await _nothing_twice(store, lived)

    await unmerged(store, now=lived.now)

    after = await facts(store, "event")
    ended = set(done.runs_ended)
    unchanged = {name: [row for row in rows if row[0] not in ended] for name, rows in before.items()}
    assert {name: [row for row in rows if row[0] not in ended] for name, rows in after.items()} == unchanged
    assert {one for one in await _events(store) if not one[0].startswith("segment:")} == {
        one for one in events if not one[0].startswith("segment:")
    }
    assert (await checked(store, lived.segment, lived.now)).differences == []


async def _events(store: StoreCalls) -> set[tuple[str, str]]:
    return {(row.event_id, row.contact_id) for row in await store.rows("SELECT event_id, contact_id FROM event")}


async def _expected(store: StoreCalls, lived: _Story) -> list[str]:
    """The members by a full evaluation of the union of both contacts' facts."""
    async with store.db.transaction() as tx:
        person = await contacts.get(tx, "ann")
    assert person is not None
    rows = await store.rows("SELECT event_id, name, occurred_at, properties FROM event WHERE name NOT LIKE 'segment.%'")
    done = [Fact(row.event_id, row.name, row.occurred_at, row.properties) for row in rows]
    tree = segment_from_data({"segment": "any", "members": lived.tree}).members
    return ["ann"] if evaluate(tree, Facts(person.view(), tuple(done)), lived.now).member else []


async def _nothing_twice(store: StoreCalls, lived: _Story) -> None:
    """A track that nobody enters twice does not send its step to whoever was sent it under either id."""
    sent = await store.rows("SELECT 1 FROM message WHERE track = 'never' AND status = 'sent'")
    live = await store.rows("SELECT id::text FROM enrollment WHERE track = 'never' AND exit_reached_at IS NULL")
    for row in live if sent else ():
        assert (await store.claim(row.id, now=lived.now)).decision in ("settled", "ended")
