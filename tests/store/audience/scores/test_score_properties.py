"""Any scores, contacts, events and clock: what is kept equals a full evaluation, and each crossing is told once."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.people import contacts, erasure
from store.runs.events.events import Event
from tests.audience.scores.test_evaluation import scores
from tests.store.audience.scores.score_calls import checked, fill, publish, value
from tests.store.audience.segment_calls import fill as fill_segments
from tests.store.audience.segment_calls import members, pass_time
from tests.store.audience.segment_calls import publish as publish_segment
from tests.store.store_calls import NOW, StoreCalls

_TURNS = count()
PEOPLE = ("ann", "bob")
TABLES = (
    *("membership", "segment_trigger", "segment_version", "segment"),
    *("score_value", "score_trigger", "score_version", "score", "event", "contact", "erasure"),
)
hours = st.integers(0, 100)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("event"),
            st.sampled_from(PEOPLE),
            st.sampled_from(["order.paid", "email.clicked"]),
            st.sampled_from([10, 30]),
            hours,
        ),
        st.tuples(st.just("plan"), st.sampled_from(PEOPLE), st.sampled_from(["team", "free", None])),
        st.tuples(st.just("wait"), st.integers(1, 150)),
        st.tuples(st.just("look")),
        st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("publish"), scores, st.sampled_from(["tell", "ignore"])),
        st.tuples(st.just("fill")),
    ),
    min_size=3,
    max_size=14,
)


class _Story:
    """Lives the steps."""

    def __init__(self, store: StoreCalls) -> None:
        self.store, self.now, self.number = store, NOW, 0
        self.score = f"any-{next(_TURNS)}"  # a version never changes, so each process reads it once
        self.segment = f"warm-{self.score}"

    async def live(self, step: tuple[Any, ...]) -> None:
        match step:
            case "event", who, name, total, hours_ago:
                self.number += 1
                at = self.now - timedelta(hours=hours_ago)
                event = Event(f"e{self.number}", who, name, {"total": total, "by": "human"}, at)
                await self.store.accept(event, now=self.now)
                await self.store.accept(event, now=self.now)  # sent twice
            case "plan", who, plan:
                async with self.store.db.transaction() as tx:
                    await contacts.upsert(tx, who, {"attributes": {"plan": plan}}, now=self.now)
            case "wait", length:
                self.now += timedelta(hours=length)
            case ("look",):
                await pass_time(self.store, self.now)
            case "erase", who:
                async with self.store.db.transaction() as tx:
                    await erasure.erase(tx, who, now=self.now)
            case "publish", written, existing:
                await publish(self.store, {**written, "score": self.score}, existing=existing, now=self.now)
                grade = {"score": self.score, "grade": ["warm", "hot"]}
                await publish_segment(self.store, self.segment, grade, now=self.now)
            case ("fill",):
                await fill(self.store, self.now)
                await fill_segments(self.store, self.now)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps, scores, steps)
async def test_values_are_kept_and_crossings_told_as_a_full_evaluation_gives_them(
    store: StoreCalls, before: list[Any], score: Any, after: list[Any]
) -> None:
    async with store.db.transaction() as tx:
        for table in TABLES:
            await tx.execute(text(f"DELETE FROM {table}"))
    lived = _Story(store)
    story = [*before[:4], ("publish", score, "ignore"), ("fill",), *after]
    note(f"{story}")
    for step in story:
        await lived.live(step)
        await _is_right(store, lived)
    await pass_time(store, lived.now)
    await fill(store, lived.now)
    await fill_segments(store, lived.now)
    assert await _is_right(store, lived) == 0
    await _adds_up(store)


async def _is_right(store: StoreCalls, lived: _Story) -> int:
    """Whether what counts equals a full evaluation; how many are late, because nobody looked since they were due."""
    rows = await store.rows("SELECT live FROM score WHERE name = :name AND live IS NOT NULL", name=lived.score)
    if not rows:
        return 0
    found = await checked(store, lived.score, lived.now)
    assert found.differences == []
    switching = await store.rows("SELECT FROM score_version WHERE state = 'switching'")
    filled = await store.rows("SELECT FROM segment WHERE name = :name AND live IS NOT NULL", name=lived.segment)
    if filled and not switching:
        graded = await store.rows(
            "SELECT v.contact_id FROM score_value v JOIN score s ON s.name = v.score AND s.live = v.version"
            " WHERE v.grade IN ('warm', 'hot') ORDER BY 1"
        )
        assert await members(store, lived.segment) == [row.contact_id for row in graded]
    return found.late


async def _adds_up(store: StoreCalls) -> None:
    """Of each contact and version, what is told is a chain without gap or repetition that ends with today's grade."""
    rows = await store.rows(
        "SELECT contact_id, properties, split_part(event_id, ':', 4)::int AS seq FROM event"
        " WHERE name = 'score.graded' AND properties <> '{}' ORDER BY seq"
    )
    chains: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        chains[row.contact_id, row.properties["score"], row.properties["version"]].append(row)
    kept = {(row.contact_id, row.score, row.version): row for row in await store.rows("SELECT * FROM score_value")}
    for key, chain in chains.items():
        assert all(one.properties["from"] != one.properties["to"] for one in chain)
        for one in (one.properties for one in chain):
            assert one["to"] in one["reached"] or one["from"] in one["lost"]
        assert all(one.properties["to"] == other.properties["from"] for one, other in pairwise(chain)), chain
        if key in kept:
            assert [one.seq for one in chain] == list(range(1, kept[key].seq + 1))
            assert chain[-1].properties["to"] == kept[key].grade
    assert all(row.seq == 0 or key in chains for key, row in kept.items())
    for contact_id, score, _ in kept:
        assert (await value(store, contact_id, score)).untold is None or not await store.rows(
            "SELECT FROM segment_trigger WHERE event = 'score ' || :score", score=score
        )
