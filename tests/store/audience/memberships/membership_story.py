"""A story of two people and three segments, lived in the database and remembered outside of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from audience.facts import EVER, Fact, Facts, Standing
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from audience.segments.leaves.standings import Consents, Converted, InSegment, OnTrack, Reachable, StandingLeaf
from audience.segments.members import standings_of
from store.people import contacts, erasure
from store.people.consents import preferences, reachability, suppressions
from store.people.consents.consents import Change
from store.published import segments
from store.runs import run_changes
from store.runs.enrollments.enrolling import Enrol
from store.runs.events.events import Event
from tests.audience.segments.any_segment import anything
from tests.store.audience.segment_calls import fill, pass_time, publish
from tests.store.store_calls import NOW, StoreCalls

_TURNS = count()
PEOPLE = ("ann", "bob")
NAMES = ("app.used", "order.paid")
hours = st.integers(0, 60)
ADDRESSES = (None, "Shared@acme.test", "own@acme.test")
TRACK = """
track: trial
entry: {event: order.paid}
reentry: always
steps: [{id: wait, wait: 3d}]
"""
stays = st.sampled_from(["", "", "1d"])
said = st.sampled_from(["granted", "withdrawn"])


def about(*names: str) -> st.SearchStrategy[Any]:
    """Members of which some are about these segments, or about where a contact stands."""
    inner = st.sampled_from([{"in": name} for name in names] * 2 + STANDING)
    return st.builds(lambda kind, parts: {kind: parts}, st.sampled_from(["all", "any"]), st.tuples(inner, anything)) | (
        st.fixed_dictionaries({"not": inner}) | inner
    )


STANDING = [
    {"on": "trial"},
    {"converted": "trial", "within": "36h"},
    {"converted": "trial"},
    {"consents": "news"},
    {"consents": "email"},
    {"reachable": "email"},
]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(PEOPLE), st.sampled_from(NAMES), st.sampled_from([10, 30]), hours),
        st.tuples(st.just("plan"), st.sampled_from(PEOPLE), st.sampled_from(["team", "free", None])),
        st.tuples(st.just("wait"), st.integers(1, 100)),
        st.tuples(st.just("look")),
        st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("publish"), st.just("one"), anything, st.sampled_from(["enter", "ignore"]), stays),
        st.tuples(st.just("publish"), st.just("two"), about("one"), st.sampled_from(["enter", "ignore"]), stays),
        st.tuples(st.just("publish"), st.just("three"), about("one", "two"), st.just("ignore"), st.just("")),
        st.tuples(st.just("fill")),
        st.tuples(st.just("cancel"), st.sampled_from(["one", "two"])),
        st.tuples(st.just("enrol"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("end"), st.sampled_from(PEOPLE), st.sampled_from(["converted", "exited"])),
        st.tuples(st.just("consent"), st.sampled_from(PEOPLE), st.sampled_from(["news", ""]), said),
        st.tuples(st.just("address"), st.sampled_from(PEOPLE), st.sampled_from(ADDRESSES)),
        st.tuples(st.just("suppress"), st.sampled_from(ADDRESSES[1:]), st.booleans()),
    ),
    min_size=3,
    max_size=14,
)


@dataclass
class _Run:
    id: str
    begin: datetime
    end: datetime | None = None
    converted: bool = False


class Story:
    """Lives the steps, and remembers all that happened outside of the database."""

    def __init__(self, store: StoreCalls) -> None:
        self.store, self.now, self.number = store, NOW, 0
        self.events: dict[str, list[Fact]] = defaultdict(list)
        self.attributes: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, list[_Run]] = defaultdict(list)
        self.consents: dict[str, dict[str, str]] = defaultdict(dict)
        self.addresses: dict[str, str | None] = {}
        self.suppressed: dict[str, str] = {}
        self.definitions: dict[str, dict[int, Any]] = defaultdict(dict)
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
                if name == "order.paid":
                    await self._begun(who)
            case "plan", who, plan:
                await self._upsert(who, {"attributes": {"plan": plan}})
                self.attributes[who] = {"plan": plan} if plan else {}
            case "address", who, address:
                await self._upsert(who, {"email": address})
                self.attributes.setdefault(who, {})
                self.addresses[who] = address
            case "wait", length:
                self.now += timedelta(hours=length)
            case ("look",):
                await pass_time(self.store, self.now)
            case "erase", who:
                await self._erase(who)
            case "publish", kind, written, existing, stay:
                name = self.named(kind)
                written = self._with_names(written)
                made = await publish(self.store, name, written, existing=existing, now=self.now, min_stay=stay)
                self.definitions[name][made.version] = (written, stay)
            case ("fill",):
                await fill(self.store, self.now)
            case "cancel", kind:
                await self._cancel(self.named(kind))
            case "enrol", who if who in self.attributes:
                async with self.store.db.transaction() as tx:
                    await run_changes.enroll(tx, Enrol("trial", who), now=self.now)
                await self._begun(who)
            case "end", who, status:
                for run in self.runs[who]:
                    if run.end is None:
                        async with self.store.db.transaction() as tx:
                            await run_changes.close(tx, run.id, status, status, now=self.now)
                        run.end, run.converted = self.now, status == "converted"
            case "consent", who, topic, status if who in self.attributes:
                self.now += timedelta(seconds=1)  # of two statements at one time a withdrawal counts
                async with self.store.db.transaction() as tx:
                    await preferences.tell(tx, who, [Change("email", topic, status, "test")], now=self.now)
                self._consented(who, topic, status)
            case "suppress", address, on:
                await self._suppress(address, on)

    def named(self, kind: str) -> str:
        return f"{kind}-{self.turn}"

    def _with_names(self, part: Any) -> Any:
        if isinstance(part, dict):
            return {k: self.named(v) if k == "in" else self._with_names(v) for k, v in part.items()}
        return [self._with_names(one) for one in part] if isinstance(part, list | tuple) else part

    async def _upsert(self, who: str, changes: Any) -> None:
        async with self.store.db.transaction() as tx:
            await contacts.upsert(tx, who, changes, now=self.now)

    async def _begun(self, who: str) -> None:
        if all(run.end is not None for run in self.runs[who]):
            rows = await self.store.rows(
                "SELECT id::text FROM enrollment WHERE contact_id = :id AND ended_at IS NULL", id=who
            )
            self.runs[who].append(_Run(rows[0].id, self.now))

    async def _erase(self, who: str) -> None:
        async with self.store.db.transaction() as tx:
            await erasure.erase(tx, who, now=self.now)
        self.events[who] = [Fact(fact.event_id, fact.name, fact.at, {}) for fact in self.events[who]]
        if address := self.addresses.pop(who, None):
            self._suppressed(address, "erased")
        self.consents.pop(who, None)
        await self._upsert(who, {})  # such a contact may come back
        self.attributes[who] = {}

    async def _cancel(self, name: str) -> None:
        async with self.store.db.transaction() as tx:
            summary = await segments.get(tx, name)
            if summary and await segments.cancel(tx, name, summary.latest):
                known = self.definitions.pop(name)
                if summary.live is not None:
                    self.definitions[name] = {summary.live: known[summary.live]}

    def _consented(self, who: str, topic: str, status: str) -> None:
        self.consents[who][topic] = status
        address = self.addresses.get(who)
        if topic == "" and address is not None:
            if status == "withdrawn":
                self._suppressed(address, "unsubscribed")
            elif self.suppressed.get(address.lower()) != "manual":
                self.suppressed.pop(address.lower(), None)

    def _suppressed(self, address: str, reason: str) -> None:
        both = (reason, self.suppressed.get(address.lower(), "unsubscribed"))
        self.suppressed[address.lower()] = min(both, key=("manual", "erased", "unsubscribed").index)

    async def _suppress(self, address: str, on: bool) -> None:
        async with self.store.db.transaction() as tx:
            held = await reachability.hold(tx, addresses=[("email", address)])
            if on:
                await suppressions.add(tx, "email", address, "manual", self.now)
            else:
                await suppressions.remove(tx, "email", address)
            await reachability.tell(tx, held, now=self.now)
        self.suppressed.pop(address.lower(), None)
        if on:
            self._suppressed(address, "manual")

    def expected(self, name: str, now: datetime, stored: dict[str, list[str]]) -> list[str]:
        """The members by a full evaluation of all that happened. Who may stay longer is known only to the database."""
        if not self.definitions.get(name):
            return []
        written, stay = self.definitions[name][max(self.definitions[name])]
        if stay:
            return stored[name]
        tree = segment_from_data({"segment": "any", "members": written}).members
        found = []
        for who, attributes in self.attributes.items():
            view: dict[str, Any] = {
                "id": who,
                "timezone": None,
                "locale": None,
                "attributes": attributes,
                "segments": [],
            }
            stood = {leaf: Standing(self._spans(who, leaf, now, stored)) for leaf in standings_of(tree)}
            if evaluate(tree, Facts(view, self.events[who], standings=stood), now).member:
                found.append(who)
        return sorted(found)

    def _spans(self, who: str, leaf: StandingLeaf, now: datetime, stored: dict[str, list[str]]) -> list[Any]:
        runs, said = self.runs[who], self.consents[who]
        match leaf:
            case InSegment():
                holds = who in self.expected(leaf.in_, now, stored)
            case OnTrack():
                holds = any(run.end is None for run in runs)
            case Converted():
                return [(run.end, None) for run in runs if run.end and run.converted]
            case Consents():
                topic = "" if leaf.consents == "email" else leaf.consents
                holds = said.get(topic) == "granted" and said.get("") != "withdrawn"
            case Reachable():
                address = self.addresses.get(who) if leaf.reachable == "email" else None
                holds = bool(address) and str(address).lower() not in self.suppressed and said.get("") != "withdrawn"
        return [(EVER, None)] if holds else []
