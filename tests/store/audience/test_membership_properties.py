"""Any segments, contacts, events and clock: what is kept equals a full evaluation, and what is told adds up to it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import count, pairwise
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from audience.facts import Fact, Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from store.people import contacts, erasure
from store.runs.events import Event
from tests.audience.segments.test_evaluation import anything
from tests.store.audience.segment_calls import checked, fill, members, pass_time, publish
from tests.store.store_calls import NOW, StoreCalls

_TURNS = count()
PEOPLE = ("ann", "bob")
NAMES = ("app.used", "order.paid")
hours = st.integers(0, 60)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(PEOPLE), st.sampled_from(NAMES), st.sampled_from([10, 30]), hours),
        st.tuples(st.just("plan"), st.sampled_from(PEOPLE), st.sampled_from(["team", "free", None])),
        st.tuples(st.just("wait"), st.integers(1, 100)),
        st.tuples(st.just("look")),
        st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("publish"), st.sampled_from(["one", "two"]), anything, st.sampled_from(["enter", "ignore"])),
        st.tuples(st.just("fill")),
    ),
    min_size=3,
    max_size=14,
)


class _Story:
    """Lives the steps, and remembers all that happened outside of the database."""

    def __init__(self, store: StoreCalls) -> None:
        self.store, self.now, self.number = store, NOW, 0
        self.events: dict[str, list[Fact]] = defaultdict(list)
        self.attributes: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, Any] = {}
        self.turn = next(_TURNS)  # a version never changes, so each process reads it once: other names in each example

    async def live(self, step: tuple[Any, ...]) -> None:
        match step:
            case "event", who, name, total, hours_ago:
                self.number += 1
                at = self.now - timedelta(hours=hours_ago)
                event = Event(f"e{self.number}", who, name, {"total": total}, at)
                await self.store.accept(event, now=self.now)
                await self.store.accept(event, now=self.now)  # sent twice
                self.events[who].append(Fact(event.event_id, name, at, event.properties))
                self.attributes.setdefault(who, {})
            case "plan", who, plan:
                async with self.store.db.transaction() as tx:
                    await contacts.upsert(tx, who, {"attributes": {"plan": plan}}, now=self.now)
                self.attributes[who] = {"plan": plan} if plan else {}
            case "wait", length:
                self.now += timedelta(hours=length)
            case ("look",):
                await pass_time(self.store, self.now)
            case "erase", who:
                async with self.store.db.transaction() as tx:
                    await erasure.erase(tx, who, now=self.now)
                self.attributes.pop(who, None)
                self.events[who] = [Fact(fact.event_id, fact.name, fact.at, {}) for fact in self.events[who]]
                async with self.store.db.transaction() as tx:  # such a contact may come back
                    await contacts.upsert(tx, who, {}, now=self.now)
                self.attributes[who] = {}
            case "publish", kind, written, existing:
                name = f"{kind}-{self.turn}"
                await publish(self.store, name, written, existing=existing, now=self.now)
                self.definitions[name] = written
            case ("fill",):
                await fill(self.store, self.now)

    def expected(self, name: str, now: datetime) -> list[str]:
        """The members by a full evaluation of all that happened."""
        tree = segment_from_data({"segment": "any", "members": self.definitions[name]}).members
        views: dict[str, dict[str, Any]] = {
            who: {"id": who, "timezone": None, "locale": None, "attributes": attributes, "segments": []}
            for who, attributes in self.attributes.items()
        }
        found = {who: evaluate(tree, Facts(view, self.events[who]), now) for who, view in views.items()}
        return sorted(who for who, answer in found.items() if answer.member)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
async def test_members_are_kept_and_told_as_a_full_evaluation_gives_them(store: StoreCalls, story: list[Any]) -> None:
    async with store.db.transaction() as tx:
        for table in ("membership", "segment_trigger", "segment_version", "segment", "event", "contact", "erasure"):
            await tx.execute(text(f"DELETE FROM {table}"))
    told = _Story(store)
    note(f"{story}")
    for step in story:
        await told.live(step)
    await pass_time(store, told.now)
    await fill(store, told.now)
    for name in told.definitions:
        assert await members(store, name) == told.expected(name, told.now), name
        found = await checked(store, name, told.now)
        assert (found.differences, found.late) == ([], 0)
    await _adds_up(store)


async def _adds_up(store: StoreCalls) -> None:
    """Each contact's changes of one version alternate, are numbered without a gap, and end with the state of today."""
    rows = await store.rows(
        "SELECT name, contact_id, properties, split_part(event_id, ':', 4)::int AS seq FROM event"
        " WHERE name LIKE 'segment.%' AND properties <> '{}' ORDER BY seq"
    )
    changes: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        changes[row.contact_id, row.properties["segment"], row.properties["version"]].append(row)
    known = {(row.contact_id, row.segment, row.version): row for row in await store.rows("SELECT * FROM membership")}
    for key, found in changes.items():
        names = [row.name for row in found]
        assert all(one != other for one, other in pairwise(names)), (key, names)
        if key in known:
            assert [row.seq for row in found] == list(range(1, known[key].seq + 1))
            assert (names[-1] == "segment.entered") == known[key].member
