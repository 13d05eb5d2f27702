"""Whom an event enrols. If it enrols nobody, the answer and the counts have the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.engine.pipeline import Answer, Pipeline, Statement
from store.runs import dropped
from store.runs.dropped import Drop
from store.runs.enrolling_by_event import REASONS, NotEnrolled, Reason
from store.runs.events import Accepted, Event
from tests.store.scene import NOW, Scene

CART = """
track: cart
entry: {event: cart.left}
reentry: {per: cart_id}
steps:
  - {id: pause, wait: 1d}
"""
ALWAYS = CART.replace("{per: cart_id}", "always")
LEFT = Event("e1", "ann", "cart.left", {"cart_id": "cart-1"})


def track(**keys: str) -> str:
    """The track `ALWAYS` with more keys in its entry."""
    more = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return ALWAYS.replace("{event: cart.left}", f"{{event: cart.left, {more}}}")


async def entered(scene: Scene, *events: Event) -> list[Reason | str]:
    """The result of each event: `enrolled`, or the reason why not."""
    answers = await scene.accept(*events)
    return ["enrolled" if one.enrolled else one.not_enrolled[0].reason for one in answers]


@pytest.mark.parametrize(
    ("properties", "outcome"),
    [
        ({"cart_id": "cart-1"}, "enrolled"),
        ({"cart_id": 4155552671}, "enrolled"),
        ({"cart_id": "4155552671"}, "enrolled"),
        ({"cart_id": 12.0}, "enrolled"),
        ({}, "no-key"),
        ({"cart_id": None}, "no-key"),
        ({"cart_id": ""}, "no-key"),
        ({"cart_id": " "}, "no-key"),
        ({"cart_id": 12.5}, "bad-key"),
        ({"cart_id": True}, "bad-key"),
        ({"cart_id": {"id": 1}}, "bad-key"),
        ({"cart_id": ["cart-1"]}, "bad-key"),
        ({"cart_id": "k" * 129}, "bad-key"),
        ({"cart_id": "車" * 110}, "bad-key"),
        ({"cart_id": "ann@acme.test"}, "bad-key"),
        ({"cart_id": "+14155552671"}, "bad-key"),
        ({"cart_id": "(415) 555-2671"}, "bad-key"),
    ],
)
async def test_the_key_of_an_object_is_an_id_or_the_answer_says_why_not(
    scene: Scene, properties: dict[str, object], outcome: str
) -> None:
    await scene.publish(CART)
    assert await entered(scene, replace(LEFT, properties=properties)) == [outcome]
    async with scene.db.transaction() as tx:
        counted = [] if outcome == "enrolled" else [Drop(outcome, "entry", "cart")]
        assert await dropped.totals(tx) == counted


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=140).filter(lambda text: "\0" not in text),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
async def test_whatever_the_key_is_the_event_enrols_or_says_why_and_ids_fit(scene: Scene, value: object) -> None:
    await scene.publish(CART)
    who = new_id()
    [answer] = await scene.accept(Event(new_id(), who, "cart.left", {"cart_id": value}))
    rows = await scene.rows("SELECT workflow_id FROM enrollment WHERE contact_id = :who", who=who)
    assert (answer.enrolled, answer.dropped) in {(1, None), (0, "no-key"), (0, "bad-key")}
    assert len(rows) == answer.enrolled
    assert all(len(row.workflow_id.encode()) <= 1000 for row in rows)


async def test_digits_alone_are_always_the_number_of_an_object(scene: Scene) -> None:
    """Nearly half of all numbers with ten digits could be somebody's telephone."""
    await scene.publish(CART)
    events = [Event(f"e{n}", f"c{n}", "cart.left", {"cart_id": 2_000_000_000 + n * 7_919_777}) for n in range(200)]
    assert set(await entered(scene, *events)) == {"enrolled"}


async def test_an_event_for_who_is_on_the_track_or_has_been_says_so(scene: Scene) -> None:
    await scene.publish(CART)
    assert await entered(scene, LEFT, replace(LEFT, event_id="e2")) == ["enrolled", "live"]
    [run] = await scene.rows("SELECT id::text AS id FROM enrollment")
    await scene.close(run.id)
    assert await entered(scene, replace(LEFT, event_id="e3")) == ["reentry"]
    async with scene.db.transaction() as tx:
        assert await dropped.totals(tx) == [Drop("live", "entry", "cart"), Drop("reentry", "entry", "cart")]


async def test_each_track_that_the_event_could_have_begun_is_named_and_the_gravest_reason_first(scene: Scene) -> None:
    await scene.publish(CART, track(where="'false'").replace("track: cart", "track: other"))
    [answer] = await scene.accept(replace(LEFT, properties={}))
    assert answer == Accepted(not_enrolled=(NotEnrolled("cart", "no-key"), NotEnrolled("other", "condition")))
    assert answer.dropped == "no-key"
    assert replace(answer, matched=1).dropped is None


async def test_an_event_that_no_track_enters_says_nothing_and_counts_nothing(scene: Scene) -> None:
    await scene.publish(CART)
    assert await scene.accept(replace(LEFT, name="page.viewed")) == [Accepted()]
    async with scene.db.transaction() as tx:
        assert await dropped.totals(tx) == []


def test_every_reason_has_its_rank() -> None:
    assert set(REASONS) == set(Reason.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "days", "outcome"),
    [
        ({}, 6.9, "enrolled"),
        ({}, 7.1, "too-old"),
        ({}, 2_000, "too-old"),
        ({"max_age": "1h"}, 0.03, "enrolled"),
        ({"max_age": "1h"}, 0.05, "too-old"),
        ({"max_age": "400d"}, 399, "enrolled"),
    ],
)
async def test_history_that_is_told_again_enrols_nobody(
    scene: Scene, more: dict[str, str], days: float, outcome: str
) -> None:
    await scene.publish(track(**more) if more else ALWAYS)
    assert await entered(scene, replace(LEFT, occurred_at=NOW - timedelta(days=days))) == [outcome]


async def test_a_track_that_was_published_before_there_was_an_age_goes_on_as_it_did(scene: Scene) -> None:
    """Its row has no age. Publishing the same track again changes nothing; publishing it with an age does."""
    long_ago = NOW - timedelta(days=2_000)
    await scene.publish(ALWAYS)
    await scene.rows("UPDATE track SET rules = rules - 'entry_max_age' RETURNING name")
    assert await entered(scene, replace(LEFT, occurred_at=long_ago)) == ["enrolled"]
    await scene.publish(ALWAYS)
    assert await entered(scene, replace(LEFT, event_id="e2", contact_id="bob", occurred_at=long_ago)) == ["enrolled"]
    await scene.publish(track(max_age="7d"))
    assert await entered(scene, replace(LEFT, event_id="e3", contact_id="carol", occurred_at=long_ago)) == ["too-old"]


UNLESS = track(unless="{event: order.paid, within: 30d}")


async def test_what_happened_before_keeps_people_out(scene: Scene) -> None:
    await scene.publish(UNLESS)
    paid = Event("p1", "ann", "order.paid", {"total": 50}, occurred_at=NOW - timedelta(days=29))
    assert await entered(scene, replace(LEFT, contact_id="bob")) == ["enrolled"]
    await scene.accept(paid)
    assert await entered(scene, replace(LEFT, event_id="e2")) == ["unless"]
    assert await entered(scene, replace(LEFT, event_id="e3", contact_id="carol")) == ["enrolled"]
    async with scene.db.transaction() as tx:
        assert await dropped.totals(tx) == [Drop("unless", "entry", "cart")]


@pytest.mark.parametrize(("days", "outcome"), [(29.9, "unless"), (30.1, "enrolled"), (-0.5, "unless")])
async def test_within_counts_from_the_event_that_would_enrol(scene: Scene, days: float, outcome: str) -> None:
    """The event is one day late: a purchase since then counts like an earlier one."""
    await scene.publish(UNLESS)
    left = NOW - timedelta(days=1)
    await scene.accept(Event("p1", "ann", "order.paid", occurred_at=left - timedelta(days=days)))
    assert await entered(scene, replace(LEFT, occurred_at=left)) == [outcome]


async def test_what_is_told_in_the_same_batch_counts_in_whatever_order(scene: Scene) -> None:
    await scene.publish(UNLESS)
    before, after = (Event(f"p{n}", who, "order.paid") for n, who in enumerate(("ann", "bob")))
    answers = await scene.accept(before, LEFT, replace(LEFT, event_id="e2", contact_id="bob"), after)
    assert [one.dropped for one in answers] == [None, "unless", "unless", None]


async def test_an_event_never_keeps_itself_out(scene: Scene) -> None:
    """'The first time in a month': only another event with the track's event name counts."""
    await scene.publish(track(unless="{event: cart.left, within: 30d}"))
    assert await entered(scene, LEFT) == ["enrolled"]
    [run] = await scene.rows("SELECT id::text AS id FROM enrollment")
    await scene.close(run.id)
    assert await entered(scene, replace(LEFT, event_id="e2")) == ["unless"]


@pytest.mark.parametrize(("total", "outcome"), [(50, "enrolled"), (150, "unless"), ("150", "enrolled")])
async def test_the_earlier_event_may_have_a_condition(scene: Scene, total: object, outcome: str) -> None:
    where = "event.properties.total > 100"
    await scene.publish(track(unless=f"{{event: order.paid, within: 30d, where: {where}}}"))
    await scene.accept(Event("p1", "ann", "order.paid", {"total": total}))
    assert await entered(scene, LEFT) == [outcome]
    async with scene.db.transaction() as tx:
        counted = {drop.reason for drop in await dropped.totals(tx)}
    assert counted == {"enrolled": set(), "unless": {"unless"}}[outcome] | (
        {"condition: type"} if total == "150" else set()
    )


@pytest.mark.parametrize(("plan", "outcome"), [("free", "enrolled"), ("team", "unless")])
async def test_unless_may_be_a_condition(scene: Scene, plan: str, outcome: str) -> None:
    await scene.publish(track(unless='contact.attributes.plan == "team"'))
    await scene.contact(attributes={"plan": plan})
    assert await entered(scene, LEFT) == [outcome]


RESTART = """
track: cart
entry: {event: cart.changed}
reentry: {restart: true}
exits: [{event: cart.changed, reason: changed}]
steps:
  - {id: hour, wait: 1h}
"""


async def test_an_event_that_leaves_and_enters_always_begins_anew(scene: Scene) -> None:
    """Without `restart` every second event would only end the run."""
    await scene.publish(RESTART)
    for number in range(4):
        [answer] = await scene.accept(Event(f"e{number}", "ann", "cart.changed", {"n": number}))
        assert answer.enrolled == 1
    rows = await scene.rows("SELECT status, end_reason, slot = '' AS here, properties FROM enrollment ORDER BY id")
    assert [tuple(row)[:3] for row in rows] == [("exited", "restarted", False)] * 3 + [("active", None, True)]
    assert rows[-1].properties == {"n": 3}
    assert [kind for kind, _ in await scene.waiting()] == ["start"], "nothing is left to be told to those before"


async def test_several_in_one_batch_leave_the_last_one_running(scene: Scene) -> None:
    await scene.publish(RESTART)
    answers = await scene.accept(*(Event(f"e{n}", "ann", "cart.changed", {"n": n}) for n in range(3)))
    assert [one.enrolled for one in answers] == [1, 1, 1]
    [row] = await scene.rows("SELECT properties FROM enrollment WHERE ended_at IS NULL")
    assert row.properties == {"n": 2}


async def test_racing_events_leave_one_run(scene: Scene) -> None:
    await scene.publish(RESTART)
    await scene.contact()
    answers = await asyncio.gather(*(scene.happen("cart.changed", event_id=f"e{n}") for n in range(8)))
    assert [one.enrolled for one in answers] == [1] * 8
    [row] = await scene.rows("SELECT count(*) AS all, count(*) FILTER (WHERE ended_at IS NULL) AS live FROM enrollment")
    assert tuple(row) == (8, 1)


async def test_the_api_finds_the_live_run_whose_track_restarts(scene: Scene) -> None:
    """A repeated enrolment call is a duplicate; only a new event restarts the run."""
    await scene.publish(RESTART)
    await scene.contact()
    run = await scene.enrolled("cart")
    again = await scene.enroll("cart")
    assert (again.outcome, again.enrollment and again.enrollment.id) == ("existing", run.id)


async def test_a_restart_takes_waiting_messages_along_and_keeps_a_goal(scene: Scene) -> None:
    document = RESTART.replace("exits:", "goal: {event: paid}\nexits:")
    run = await scene.live(document)
    held = await scene.hold_back(run.id, step="hour")
    await scene.happen("paid", event_id="p1")
    await scene.happen("cart.changed", event_id="e9")
    first, second = await scene.rows("SELECT status, end_reason FROM enrollment ORDER BY id")
    assert (tuple(first), tuple(second)) == (("converted", "goal"), ("active", None))
    message = await scene.message(held)
    assert (message.status, message.reason) == ("skipped", "goal")


@pytest.mark.parametrize(
    ("rule", "outcomes"),
    [
        ("{per: cart_id}", ["created", "refused", "refused"]),
        ("{per: cart_id, after: 90d}", ["created", "refused", "created"]),
        ("{after: 90d}", ["created", "refused", "created"]),
    ],
)
async def test_a_cycle_may_come_again_for_the_same_object(scene: Scene, rule: str, outcomes: list[str]) -> None:
    """Reminders to buy an article again: `per` alone would enrol only at the first purchase."""
    await scene.publish(CART.replace("{per: cart_id}", rule))
    await scene.contact()
    found = []
    for now in (NOW, NOW + timedelta(days=80), NOW + timedelta(days=95)):
        result = await scene.enroll("cart", properties={"cart_id": "sku-1"}, now=now)
        found.append(result.outcome)
        if result.outcome == "created" and result.enrollment:
            await scene.close(result.enrollment.id, now=now)
    assert found == outcomes


async def test_figures_are_the_same_after_their_rows_became_few(scene: Scene) -> None:
    await scene.publish(CART)
    for number in range(5):
        await scene.accept(replace(LEFT, event_id=f"e{number}", properties={}))
    await scene.accept(LEFT, LEFT)
    async with scene.db.transaction() as tx:
        before = await dropped.totals(tx)
        await dropped.compact(tx)
        assert await dropped.totals(tx) == before
    [row] = await scene.rows("SELECT count(*) AS rows FROM dropped")
    assert row.rows == len(before)


async def test_who_is_turned_away_costs_no_round_trip_more_and_who_nobody_cares_for_no_statement(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.publish(UNLESS)
    await scene.contact()
    flights: list[int] = []
    fly = Pipeline.fly

    async def counted(self: Pipeline, asked: Sequence[Statement] = (), **around: bool) -> list[Answer]:
        flights.append(len(asked))
        return await fly(self, asked, **around)

    monkeypatch.setattr(Pipeline, "fly", counted)

    async def cost(event: Event) -> list[int]:
        flights.clear()
        await scene.accept(event)
        return list(flights)

    assert await cost(replace(LEFT, name="page.viewed")) == [1, 0], "stored, committed"
    late = replace(LEFT, event_id="e2", occurred_at=NOW - timedelta(days=30))
    assert await cost(late) == [1, 1, 1], "stored, the doors, counted along with the commit"
